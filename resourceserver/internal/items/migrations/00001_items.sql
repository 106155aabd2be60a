-- Callers that have written items. owner is the subject of their tokens, and name the username when they last
-- wrote. next_number is the least number that a new item may get, so that numbers are not given twice, and
-- items is how many there are. Each write locks the row of its owner first.
CREATE TABLE owners (
    owner       {{text}} PRIMARY KEY,
    name        {{text}} NOT NULL,
    next_number BIGINT NOT NULL,
    items       BIGINT NOT NULL
);

-- Items that were written. folded is the title in lower case, and tag is another one after each write.
CREATE TABLE items (
    owner      {{text}} NOT NULL REFERENCES owners (owner),
    number     BIGINT NOT NULL,
    title      {{text}} NOT NULL,
    note       {{text}} NOT NULL,
    folded     {{text}} NOT NULL,
    tag        {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner, number)
);

-- Requests that made an item and had an Idempotency-Key. digest is that of the key, and request that of what was
-- asked for.
CREATE TABLE idempotency_keys (
    owner      {{text}} NOT NULL REFERENCES owners (owner),
    digest     {{text}} NOT NULL,
    request    {{text}} NOT NULL,
    number     BIGINT NOT NULL,
    tag        {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, digest)
);

CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
