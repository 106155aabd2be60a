-- What ID tokens and userinfo show of a user. The names of groups are separated by spaces. updated_at is
-- when the user was last changed, NULL if that was never.
ALTER TABLE users ADD COLUMN email {{text}} NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email_verified BIGINT NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1));
ALTER TABLE users ADD COLUMN group_names {{text}} NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN updated_at BIGINT;

-- The algorithm of a client's ID tokens. Empty is RS256.
ALTER TABLE clients ADD COLUMN id_token_alg {{text}} NOT NULL DEFAULT '';

-- How the user of a session has logged in (amr, RFC 8176), separated by spaces. sid is the session's public
-- identifier, if it has taken over that of a previous session; else the identifier is derived from the
-- digest.
ALTER TABLE sessions ADD COLUMN methods {{text}} NOT NULL DEFAULT 'pwd';
ALTER TABLE sessions ADD COLUMN sid {{text}} NOT NULL DEFAULT '';

-- What the ID tokens of a code and a grant say. auth_time is NULL where there are none: without the scope
-- openid, and for those of previous versions.
ALTER TABLE codes ADD COLUMN nonce {{text}} NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN auth_time BIGINT;
ALTER TABLE codes ADD COLUMN methods {{text}} NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN sid {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN auth_time BIGINT;
ALTER TABLE grants ADD COLUMN methods {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN sid {{text}} NOT NULL DEFAULT '';
