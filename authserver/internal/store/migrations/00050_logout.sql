-- Where the browser may go after a logout that the client started, separated by spaces, and where the client
-- is told of a logout. Empty if it is not.
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris {{text}} NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN backchannel_logout_uri {{text}} NOT NULL DEFAULT '';

-- Logouts that clients must be told of (OpenID Connect Back-Channel Logout). A server that sends one moves
-- due_at ahead first, so that no other server sends it at the same time. There are no foreign keys: a logout
-- must not wait for, or fail because of, a change of the client.
CREATE TABLE logout_notices (
    id         {{serial}},
    client_id  {{text}} NOT NULL,
    subject    {{text}} NOT NULL,
    sid        {{text}} NOT NULL,
    created_at BIGINT   NOT NULL,
    due_at     BIGINT   NOT NULL,
    attempts   BIGINT   NOT NULL DEFAULT 0
);

CREATE INDEX logout_notices_by_time ON logout_notices (due_at);
