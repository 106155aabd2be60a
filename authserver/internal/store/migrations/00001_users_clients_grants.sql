-- Times are seconds since 1970. {{serial}} is the engine's way to number rows.

CREATE TABLE users (
    id            TEXT PRIMARY KEY CHECK (substr(id, 1, 4) = 'usr_'),
    username      TEXT   NOT NULL UNIQUE,
    name          TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    last_login_at BIGINT,
    disabled_at   BIGINT
);

-- A client's id can never equal a user's: RFC 9700 section 4.15.1.
CREATE TABLE clients (
    id            TEXT PRIMARY KEY CHECK (substr(id, 1, 4) <> 'usr_'),
    name          TEXT   NOT NULL,
    secret_digest TEXT   NOT NULL, -- empty: a public client
    grant_types   TEXT   NOT NULL,
    scope         TEXT   NOT NULL,
    first_party   BIGINT NOT NULL CHECK (first_party IN (0, 1)),
    created_at    BIGINT NOT NULL
);

-- A grant outlives its user and its client until its last token has expired, so
-- that its bit in the status list goes on saying that it is revoked.
CREATE TABLE grants (
    number     {{serial}},
    type       TEXT   NOT NULL,
    client_id  TEXT   REFERENCES clients (id) ON DELETE SET NULL,
    user_id    TEXT   REFERENCES users (id) ON DELETE SET NULL,
    scope      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX grants_by_user ON grants (user_id);
CREATE INDEX grants_by_client ON grants (client_id);
CREATE INDEX grants_by_end ON grants (expires_at);

-- Keyed by a digest of what was typed as the username: people type passwords there.
CREATE TABLE failed_logins (
    account TEXT PRIMARY KEY,
    count   BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);

CREATE INDEX failed_logins_by_time ON failed_logins (last_at);
