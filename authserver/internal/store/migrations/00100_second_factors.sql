-- Second factors of users, such as apps that show codes. What secret means depends on the kind: that of totp is
-- encrypted with the key that sealing_keys has, and last_step is the latest time step of which a code was accepted, so
-- that no code is accepted twice. Servers of the previous version know nothing of second factors and let their users
-- log in with the password alone; servers of this version do not accept such sessions.
CREATE TABLE second_factors (
    id           {{text}} PRIMARY KEY,
    user_id      {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         {{text}} NOT NULL,
    name         {{text}} NOT NULL,
    secret       {{text}} NOT NULL,
    created_at   BIGINT   NOT NULL,
    last_used_at BIGINT,
    last_step    BIGINT   NOT NULL DEFAULT 0
);

CREATE INDEX second_factors_by_user ON second_factors (user_id);

-- Codes that take the place of a second factor, each once. They are random, so their digests are stored as they are.
CREATE TABLE recovery_codes (
    user_id    {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest     {{text}} NOT NULL,
    created_at BIGINT   NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- Logins whose password was right and that wait for the second step, by the digest of the cookie of the browser.
-- continue_at is where the browser goes then. They end with the password and with every change of the second factors.
CREATE TABLE pending_logins (
    digest           {{text}} PRIMARY KEY,
    user_id          {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    password_version BIGINT   NOT NULL,
    client_id        {{text}} NOT NULL,
    grant_type       {{text}} NOT NULL,
    continue_at      {{text}} NOT NULL,
    challenge        {{text}} NOT NULL DEFAULT '',
    tries            BIGINT   NOT NULL DEFAULT 0,
    created_at       BIGINT   NOT NULL,
    expires_at       BIGINT   NOT NULL
);

CREATE INDEX pending_logins_by_end ON pending_logins (expires_at);
CREATE INDEX pending_logins_by_user ON pending_logins (user_id);

-- The key that encrypts secrets of second factors, encrypted with each of the keys of the keys file, by their kid.
CREATE TABLE sealing_keys (
    kid        {{text}} PRIMARY KEY,
    sealed     {{text}} NOT NULL,
    created_at BIGINT   NOT NULL
);

-- When the user of a session has logged in, if not when it was created: a new password does not change that.
ALTER TABLE sessions ADD COLUMN auth_time BIGINT;

-- Whether users must log in to the client with a second factor.
ALTER TABLE clients ADD COLUMN require_second_factor BIGINT NOT NULL DEFAULT 0
    CHECK (require_second_factor IN (0, 1));
