-- Pushed authorization requests (RFC 9126). digest is that of the request_uri, query holds the parameters, and
-- network is a digest of where a public client pushed it from. opened_at is when a browser first came with it:
-- from then on the user has time to log in. A row is deleted when its code is issued.
CREATE TABLE pushed_requests (
    digest     {{text}} PRIMARY KEY,
    client_id  {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    query      {{text}} NOT NULL,
    network    {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    opened_at  BIGINT
);

CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);
CREATE INDEX pushed_requests_by_client ON pushed_requests (client_id);

-- Whether a client must push its authorization requests.
ALTER TABLE clients ADD COLUMN require_par BIGINT NOT NULL DEFAULT 0 CHECK (require_par IN (0, 1));
