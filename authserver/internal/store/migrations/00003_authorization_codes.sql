-- The redirect URIs of a client, separated by spaces.
ALTER TABLE clients ADD COLUMN redirect_uris {{text}} NOT NULL DEFAULT '';

-- Browser sessions. digest is that of the cookie.
CREATE TABLE sessions (
    digest     {{text}} PRIMARY KEY,
    user_id    {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- The session in which a grant was started, so that a logout can revoke it.
ALTER TABLE grants ADD COLUMN session {{text}} NOT NULL DEFAULT '';
CREATE INDEX grants_by_session ON grants (session) WHERE session <> '';

-- Authorization codes. A redeemed code is kept for a while with the number of its grant, so that
-- a replay is detected.
CREATE TABLE codes (
    digest       {{text}} PRIMARY KEY,
    client_id    {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    user_id      {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session      {{text}} NOT NULL,
    redirect_uri {{text}} NOT NULL,
    scope        {{text}} NOT NULL,
    challenge    {{text}} NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    redeemed_at  BIGINT,
    grant_number BIGINT
);

CREATE INDEX codes_by_end ON codes (expires_at);

-- The scope that a user has allowed a client.
CREATE TABLE consents (
    user_id    {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scope      {{text}} NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);
