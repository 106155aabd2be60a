-- What the assertions must be by which a client authenticates, as JSON; empty if it does not. The
-- secret_digest of a client without a secret is 'none': to servers of the previous version it is a
-- confidential client whose secret nobody knows.
ALTER TABLE clients ADD COLUMN assertion {{text}} NOT NULL DEFAULT '';

-- The secret before the current one, and until when it is accepted: only while the current one is
-- old_secret_beside. So servers of the previous version end it too when they replace the secret.
ALTER TABLE clients ADD COLUMN old_secret_digest {{text}} NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN old_secret_beside {{text}} NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN old_secret_until BIGINT;

-- Digests of the assertions that were used, until they expire.
CREATE TABLE used_assertions (
    digest     {{text}} PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX used_assertions_by_expiry ON used_assertions (expires_at);
