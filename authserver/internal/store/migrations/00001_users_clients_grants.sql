-- Times are seconds since 1970. {{serial}} is the engine's way to number rows,
-- {{text}} its type of text that is ordered by its bytes.

CREATE TABLE users (
    id            {{text}} PRIMARY KEY CHECK (substr(id, 1, 4) = 'usr_'),
    username      {{text}} NOT NULL UNIQUE,
    name          {{text}} NOT NULL,
    password_hash {{text}} NOT NULL,
    created_at    BIGINT   NOT NULL,
    last_login_at BIGINT,
    disabled_at   BIGINT
);

-- A client's id can never equal a user's: RFC 9700 section 4.15.1.
CREATE TABLE clients (
    id            {{text}} PRIMARY KEY CHECK (substr(id, 1, 4) <> 'usr_'),
    name          {{text}} NOT NULL,
    secret_digest {{text}} NOT NULL, -- empty: a public client
    grant_types   {{text}} NOT NULL,
    scope         {{text}} NOT NULL,
    first_party   BIGINT   NOT NULL CHECK (first_party IN (0, 1)),
    created_at    BIGINT   NOT NULL
);

-- A grant outlives its user and its client until its last token has expired, so
-- that its bit in the status list goes on saying that it is revoked.
CREATE TABLE grants (
    number     {{serial}},
    type       {{text}} NOT NULL,
    client_id  {{text}} REFERENCES clients (id) ON DELETE SET NULL,
    user_id    {{text}} REFERENCES users (id) ON DELETE SET NULL,
    scope      {{text}} NOT NULL,
    created_at BIGINT   NOT NULL,
    expires_at BIGINT   NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX grants_by_user ON grants (user_id);
CREATE INDEX grants_by_client ON grants (client_id);
CREATE INDEX grants_by_end ON grants (expires_at);

-- Keyed by a digest of what was typed as the username: people type passwords there.
CREATE TABLE failed_logins (
    account {{text}} PRIMARY KEY,
    count   BIGINT   NOT NULL,
    last_at BIGINT   NOT NULL
);

CREATE INDEX failed_logins_by_time ON failed_logins (last_at);
