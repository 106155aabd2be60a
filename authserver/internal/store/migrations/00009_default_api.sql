-- An API whose tokens may allow whatever the client may have.
ALTER TABLE apis ADD COLUMN any_scope BIGINT NOT NULL DEFAULT 0 CHECK (any_scope IN (0, 1));

-- The default API, that of the server's settings, is registered like every other when a
-- server starts. The one row says which it is. An empty audience of a grant, code or consent
-- still means the default API: servers of the version before go on writing and reading that
-- while they run, and ignore this table.
CREATE TABLE default_api (
    id       BIGINT   PRIMARY KEY CHECK (id = 1),
    audience {{text}} NOT NULL REFERENCES apis (audience)
);
