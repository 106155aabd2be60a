-- What status lists are made of: the grants that were revoked lately.
CREATE INDEX grants_by_revocation ON grants (revoked_at, number) WHERE revoked_at IS NOT NULL;

-- A grant that was revoked is of no use any more once its last access token has expired,
-- a day later at the latest. Some were to be kept for longer, those of services for ever.
UPDATE grants SET expires_at = revoked_at + 86400 WHERE expires_at > revoked_at + 86400;
