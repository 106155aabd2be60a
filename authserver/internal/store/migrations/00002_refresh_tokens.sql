-- What a refresh token is known by: digests, and the replaced ones of the last seconds.
-- Empty where a grant has no refresh token.
ALTER TABLE grants ADD COLUMN refresh_family {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_digest {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_trail {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN refresh_ends_at BIGINT;
ALTER TABLE grants ADD COLUMN refresh_expires_at BIGINT;

-- Counts the passwords that a user has had, so that a login that began with the one
-- before gives nothing any more.
ALTER TABLE users ADD COLUMN password_version BIGINT NOT NULL DEFAULT 0;

-- A client that acts for itself has one grant for all its tokens.
CREATE UNIQUE INDEX grants_of_services ON grants (client_id) WHERE type = 'client_credentials' AND revoked_at IS NULL;

-- Clients that may ask the introspection endpoint.
ALTER TABLE clients ADD COLUMN introspects BIGINT NOT NULL DEFAULT 0;
