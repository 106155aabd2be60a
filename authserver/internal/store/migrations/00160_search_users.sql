-- Administrators find users by the beginning of the username, the email address or the name. lower changes A to Z only
-- on both engines. These are indexes and no columns, since servers of the previous version add users too.
-- users_by_email is there already; hardly any two users have the same address.
CREATE INDEX users_by_folded_username ON users (lower(username), id);
CREATE INDEX users_by_folded_name ON users (lower(name), id);
