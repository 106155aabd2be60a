-- Times are Unix seconds. {{serial}} is the engine's type of a primary key that numbers rows,
-- {{text}} its type of text that sorts by bytes.

CREATE TABLE users (
    id            {{text}} PRIMARY KEY CHECK (substr(id, 1, 4) = 'usr_'),
    username      {{text}} NOT NULL UNIQUE,
    name          {{text}} NOT NULL,
    password_hash {{text}} NOT NULL,
    created_at    BIGINT   NOT NULL,
    last_login_at BIGINT,
    disabled_at   BIGINT
);

-- A client's id can never equal a user's (RFC 9700 section 4.15.1).
CREATE TABLE clients (
    id            {{text}} PRIMARY KEY CHECK (substr(id, 1, 4) <> 'usr_'),
    name          {{text}} NOT NULL,
    secret_digest {{text}} NOT NULL, -- empty for a public client
    grant_types   {{text}} NOT NULL,
    scope         {{text}} NOT NULL,
    first_party   BIGINT   NOT NULL CHECK (first_party IN (0, 1)),
    created_at    BIGINT   NOT NULL
);

-- A grant is kept after its user or client is deleted until its last token has expired, for its
-- bit in the status list.
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

-- account is a digest of the username that was typed: people type passwords there.
CREATE TABLE failed_logins (
    account {{text}} PRIMARY KEY,
    count   BIGINT   NOT NULL,
    last_at BIGINT   NOT NULL
);

CREATE INDEX failed_logins_by_time ON failed_logins (last_at);
