-- The address that a link of the kind change_email gives to its user; empty for the other kinds.
ALTER TABLE links ADD COLUMN new_email {{text}} NOT NULL DEFAULT '';

-- Links by which somebody who has the email address can make an account, by the digest of their secret. address is
-- the email address in lower case.
CREATE TABLE sign_ups (
    digest     {{text}} PRIMARY KEY,
    email      {{text}} NOT NULL,
    address    {{text}} NOT NULL,
    created_at BIGINT   NOT NULL,
    expires_at BIGINT   NOT NULL
);

CREATE INDEX sign_ups_by_end ON sign_ups (expires_at);
CREATE INDEX sign_ups_by_address ON sign_ups (address);

-- People who may sign up because an administrator has invited them, and what their accounts will have.
CREATE TABLE invitations (
    address     {{text}} PRIMARY KEY,
    email       {{text}} NOT NULL,
    name        {{text}} NOT NULL,
    group_names {{text}} NOT NULL,
    created_at  BIGINT   NOT NULL,
    expires_at  BIGINT   NOT NULL
);

CREATE INDEX invitations_by_end ON invitations (expires_at);

-- Rows that a transaction locks before it gives a verified email address to a user, so that two transactions do not
-- give it to two users, or before it counts mails. The digest is that of the address or of what is counted. A row means
-- nothing once its transaction has ended.
CREATE TABLE locks (
    digest    {{text}} PRIMARY KEY,
    locked_at BIGINT   NOT NULL
);

CREATE INDEX locks_by_time ON locks (locked_at);
