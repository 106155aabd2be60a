-- Mails that were asked for. A server that sends one moves due_at ahead first, so that no other server sends it at
-- the same time; NULL means that nothing is left to do. typed is what somebody typed into the form for a
-- forgotten password, until the mail is sent; typed_digest and network are digests by which such requests are
-- limited. A row is deleted an hour after it was created.
CREATE TABLE mail_requests (
    id           {{serial}},
    kind         {{text}} NOT NULL,
    typed        {{text}} NOT NULL,
    typed_digest {{text}} NOT NULL,
    network      {{text}} NOT NULL,
    user_id      {{text}} NOT NULL,
    created_at   BIGINT   NOT NULL,
    due_at       BIGINT,
    attempts     BIGINT   NOT NULL DEFAULT 0
);

CREATE INDEX mail_requests_by_due ON mail_requests (due_at);
CREATE INDEX mail_requests_by_time ON mail_requests (created_at);
CREATE INDEX mail_requests_by_network ON mail_requests (network, created_at);
CREATE INDEX mail_requests_by_name ON mail_requests (typed_digest, created_at);

-- Links in mails, by the digest of their secret. A link works as long as the user still has the email address that
-- it was sent to, and the password of that time.
CREATE TABLE links (
    digest           {{text}} PRIMARY KEY,
    kind             {{text}} NOT NULL,
    user_id          {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email            {{text}} NOT NULL,
    password_version BIGINT   NOT NULL,
    created_at       BIGINT   NOT NULL,
    expires_at       BIGINT   NOT NULL
);

CREATE INDEX links_by_end ON links (expires_at);
CREATE INDEX links_by_user ON links (user_id);

-- Mails that were not sent, because there is no mail server: the inbox of --mail-inbox.
CREATE TABLE inbox_mails (
    id         {{serial}},
    recipient  {{text}} NOT NULL,
    subject    {{text}} NOT NULL,
    body       {{text}} NOT NULL,
    created_at BIGINT   NOT NULL
);

-- Finds the users of an email address, whose letters are compared in lower case.
CREATE INDEX users_by_email ON users (lower(email));
