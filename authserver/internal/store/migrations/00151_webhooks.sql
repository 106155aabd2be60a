-- URLs of other programs that are told of records of the audit log. events are names of events, or the beginnings of
-- names before a *, separated by spaces. secret is encrypted with the key that sealing_keys has.
CREATE TABLE webhooks (
    id         {{text}} PRIMARY KEY,
    url        {{text}} NOT NULL,
    events     {{text}} NOT NULL,
    secret     {{text}} NOT NULL,
    created_at BIGINT   NOT NULL
);

-- A record that a webhook must be told of. A server that sends it moves due_at ahead first; NULL means that the last
-- attempt has failed. attempts counts those that were begun.
CREATE TABLE webhook_deliveries (
    webhook    {{text}} NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    record     {{text}} NOT NULL,
    created_at BIGINT   NOT NULL,
    due_at     BIGINT,
    attempts   BIGINT   NOT NULL DEFAULT 0,
    reason     {{text}} NOT NULL DEFAULT '',
    PRIMARY KEY (webhook, record)
);

CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (webhook, due_at);
