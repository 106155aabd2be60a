-- Failed logins of an account at one address, and of an account at all addresses, whose row has
-- an empty address. Both are digests. It takes the place of failed_logins, which servers of the
-- previous version go on using. Drop that when no such server runs.
CREATE TABLE login_failures (
    account {{text}} NOT NULL,
    address {{text}} NOT NULL,
    count   BIGINT   NOT NULL,
    since   BIGINT   NOT NULL,
    last_at BIGINT   NOT NULL,
    PRIMARY KEY (account, address)
);

CREATE INDEX login_failures_by_time ON login_failures (last_at);

-- Values of which each database has one.
CREATE TABLE properties (
    name  {{text}} PRIMARY KEY,
    value {{text}} NOT NULL
);

-- How many hashes there are of each scheme and cost, which a bcrypt hash begins with.
CREATE INDEX users_by_cost ON users (substr(password_hash, 1, 7));

-- A username as it looks, so that no other user can have one that looks the same. The server
-- fills it in for users of previous versions; of those that look the same, all but one have the
-- id of that one in twin_of. Servers of the previous version leave it NULL.
ALTER TABLE users ADD COLUMN skeleton {{text}};
ALTER TABLE users ADD COLUMN twin_of {{text}};
CREATE UNIQUE INDEX users_by_skeleton ON users (skeleton) WHERE twin_of IS NULL;
CREATE INDEX users_by_any_skeleton ON users (skeleton);
CREATE INDEX users_by_twin ON users (twin_of) WHERE twin_of IS NOT NULL;

-- Whether the user was made by the demo and still has the demo's password. Such users can log in
-- only while the demo is on.
--
-- Users that previous versions made have the names of the demo, have never changed their
-- password, and were made in the second in which the demo's client or the other user was made.
-- The last tells them from real users of these names.
ALTER TABLE users ADD COLUMN demo BIGINT NOT NULL DEFAULT 0 CHECK (demo IN (0, 1));
UPDATE users SET demo = 1
    WHERE password_version = 0
    AND ((username = 'john.doe' AND name = 'John Doe') OR (username = 'jane.smith' AND name = 'Jane Smith'))
    AND (created_at IN (SELECT created_at FROM clients WHERE id = 'demo' AND name = 'Demo')
        OR EXISTS (SELECT 1 FROM users AS other WHERE other.created_at = users.created_at
            AND ((other.username = 'john.doe' AND other.name = 'John Doe')
                OR (other.username = 'jane.smith' AND other.name = 'Jane Smith'))
            AND other.username <> users.username));

-- The demo is made once in a database's life, if at all: here it has been, or it was not wanted.
INSERT INTO properties (name, value)
    SELECT 'demo', 'made' WHERE EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM clients);

-- What commands have changed, for the log of a server, which deletes the rows that it logs.
CREATE TABLE admin_events (
    id      {{serial}},
    event   {{text}} NOT NULL,
    subject {{text}} NOT NULL,
    at      BIGINT
);
