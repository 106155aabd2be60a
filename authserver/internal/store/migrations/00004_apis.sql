-- The APIs that tokens can be for, besides the default one in the server's settings.
CREATE TABLE apis (
    audience   {{text}} PRIMARY KEY,
    name       {{text}} NOT NULL,
    scope      {{text}} NOT NULL,
    created_at BIGINT NOT NULL
);

-- The API that a grant or a code is for; empty for the default one.
ALTER TABLE grants ADD COLUMN audience {{text}} NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN audience {{text}} NOT NULL DEFAULT '';
