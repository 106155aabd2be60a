-- Where a client comes from: empty for an administrator, 'document' for a client ID metadata document,
-- whose URL is the id, 'registration' for dynamic registration. Clients of the last two are deleted when
-- they are no longer used. Servers of the previous version treat them as clients of an administrator.
ALTER TABLE clients ADD COLUMN source {{text}} NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN last_used_at BIGINT;

-- The digest of the token by which a client of dynamic registration is managed (RFC 7592).
ALTER TABLE clients ADD COLUMN registration_digest {{text}} NOT NULL DEFAULT '';

CREATE INDEX clients_by_use ON clients (source, last_used_at) WHERE source <> '';
