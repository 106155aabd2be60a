-- A redemption that is not confirmed yet: its server may not know whether it was committed. Empty in all other rows, and
-- in those of servers of the previous version, whose redemptions are final at once.
ALTER TABLE codes ADD COLUMN attempt {{text}} NOT NULL DEFAULT '';
ALTER TABLE device_codes ADD COLUMN attempt {{text}} NOT NULL DEFAULT '';
