-- The grant of an exchanged token (RFC 8693) ends with the grant that it came from, its parent. actors are the
-- clients that act for the user, the latest first, separated by spaces.
--
-- Servers of the previous version do not know the parent when they revoke. They exchange no tokens, and exchanged
-- tokens live for minutes.
ALTER TABLE grants ADD COLUMN parent BIGINT;
ALTER TABLE grants ADD COLUMN actors {{text}} NOT NULL DEFAULT '';

CREATE INDEX grants_by_parent ON grants (parent) WHERE parent IS NOT NULL;

-- The APIs whose tokens a client may exchange, and those that it may exchange them for, separated by spaces.
ALTER TABLE clients ADD COLUMN exchange_from {{text}} NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN exchange_to {{text}} NOT NULL DEFAULT '';
