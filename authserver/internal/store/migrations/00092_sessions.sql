-- Where a login came from: the IP address, and a short text of the browser or program. A grant of a code has those of
-- its session. They are deleted after 90 days, and with the user. Servers of the previous version leave them empty,
-- and keep them in the revoked grants of a user whom they delete.
ALTER TABLE sessions ADD COLUMN address {{text}} NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN address {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN agent {{text}} NOT NULL DEFAULT '';

CREATE INDEX grants_with_address ON grants (created_at) WHERE address <> '';
