-- Device codes (RFC 8628). Both codes are digests. user_code is NULL once the user has decided; then
-- grant_number is the grant that the approval started, or NULL if the user denied it. network is a
-- digest of where the request came from, and poll_pause how many seconds the device must wait between polls.
--
-- An approval starts the grant at once, before the device has its tokens. So everything that revokes grants,
-- also a server of the previous version, revokes what a device has not fetched yet.
CREATE TABLE device_codes (
    digest       {{text}} PRIMARY KEY,
    user_code    {{text}} UNIQUE,
    client_id    {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    audience     {{text}} NOT NULL,
    scope        {{text}} NOT NULL,
    network      {{text}} NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    poll_pause   BIGINT NOT NULL,
    polled_at    BIGINT,
    grant_number BIGINT,
    redeemed_at  BIGINT
);

CREATE INDEX device_codes_by_end ON device_codes (expires_at);
CREATE INDEX device_codes_by_client ON device_codes (client_id);
