-- Grant numbers repeat after an older copy of the database is restored. Each restore begins an
-- epoch, whose status lists have URIs of their own. The name is random: a number would repeat too.
-- Before the first restore there is no row. All grants that are not revoked belong to the last epoch.
CREATE TABLE epochs (
    id         {{serial}},
    name       {{text}} NOT NULL UNIQUE,
    started_at BIGINT   NOT NULL
);
