-- The APIs that tokens can be for, beside the one that the server is set up with.
CREATE TABLE apis (
    audience   {{text}} PRIMARY KEY,
    name       {{text}} NOT NULL,
    scope      {{text}} NOT NULL,
    created_at BIGINT NOT NULL
);

-- The API that a grant and a code are for; empty: the one of the server's settings.
ALTER TABLE grants ADD COLUMN audience {{text}} NOT NULL DEFAULT '';
ALTER TABLE codes ADD COLUMN audience {{text}} NOT NULL DEFAULT '';
