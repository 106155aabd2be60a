-- The language in which a user has last logged in, and that of the page where a mail was asked for; empty if it is not
-- known, as for what servers of the previous version write.
ALTER TABLE users ADD COLUMN language {{text}} NOT NULL DEFAULT '';
ALTER TABLE mail_requests ADD COLUMN language {{text}} NOT NULL DEFAULT '';
