-- For status lists, which contain the recently revoked grants.
CREATE INDEX grants_by_revocation ON grants (revoked_at, number) WHERE revoked_at IS NOT NULL;

-- A revoked grant is needed until its last access token has expired, at most a day later. Some had a
-- later expiry, and those of services never expired.
UPDATE grants SET expires_at = revoked_at + 86400 WHERE expires_at > revoked_at + 86400;
