-- Digests of the network address and the neighborhood that a login came from, to count the failures of all accounts
-- there. Empty in other rows, and in those of servers of the previous version.
ALTER TABLE login_failures ADD COLUMN network {{text}} NOT NULL DEFAULT '';
ALTER TABLE login_failures ADD COLUMN neighborhood {{text}} NOT NULL DEFAULT '';

CREATE INDEX login_failures_by_network ON login_failures (network, last_at) WHERE network <> '';
CREATE INDEX login_failures_by_neighborhood ON login_failures (neighborhood, last_at) WHERE neighborhood <> '';
