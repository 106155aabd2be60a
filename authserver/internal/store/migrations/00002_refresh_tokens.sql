-- The digests of the grant's refresh tokens: of the family, of the current token and, in the
-- trail, of recently replaced ones. Empty if the grant has no refresh token.
ALTER TABLE grants ADD COLUMN refresh_family {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_digest {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_trail {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_ends_at BIGINT;
ALTER TABLE grants ADD COLUMN refresh_expires_at BIGINT;

-- Counts the password changes of a user, so that a login that is still in progress with the
-- previous password fails.
ALTER TABLE users ADD COLUMN password_version BIGINT NOT NULL DEFAULT 0;

-- A client has one active client_credentials grant for all its tokens.
CREATE UNIQUE INDEX grants_of_services ON grants (client_id) WHERE type = 'client_credentials' AND revoked_at IS NULL;

-- Whether the client may use the introspection endpoint.
ALTER TABLE clients ADD COLUMN introspects BIGINT NOT NULL DEFAULT 0;
