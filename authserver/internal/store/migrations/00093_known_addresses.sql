-- Addresses that users have logged in from, as digests with the user's id. There, nobody who guesses elsewhere makes
-- them wait.
CREATE TABLE known_addresses (
    user_id {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address {{text}} NOT NULL,
    last_at BIGINT   NOT NULL,
    PRIMARY KEY (user_id, address)
);

CREATE INDEX known_addresses_by_time ON known_addresses (last_at);
