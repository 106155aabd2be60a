-- Services that may have tokens of the admin API for themselves. Servers of the previous version know nothing of it: they
-- keep the value when they change a client.
ALTER TABLE clients ADD COLUMN admin BIGINT NOT NULL DEFAULT 0 CHECK (admin IN (0, 1));

-- The administrators, of which one at least must stay, and the groups of users with their sizes, without reading all
-- users. An index of PostgreSQL cannot have the longest lists of groups, which few users have, if any.
CREATE INDEX administrators ON users (id)
    WHERE replace(' ' || group_names || ' ', ' admins ', '') <> ' ' || group_names || ' ';
CREATE INDEX users_by_groups ON users (group_names) WHERE group_names <> '' AND length(group_names) <= 1000;
CREATE INDEX users_in_many_groups ON users (id) WHERE length(group_names) > 1000;

-- The digest of the link by which an administrator without a second factor has begun a login that adds one; empty for
-- all other logins.
ALTER TABLE pending_logins ADD COLUMN enrol_link {{text}} NOT NULL DEFAULT '';
