-- The scope that a user has allowed a client at an API; an empty audience means the default API.
-- It replaces consents, which knew one API. Servers of the previous version still use consents,
-- and users are asked again for what they allow there. Drop consents when no such server runs.
CREATE TABLE api_consents (
    user_id    {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    audience   {{text}} NOT NULL,
    scope      {{text}} NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id, audience)
);

INSERT INTO api_consents (user_id, client_id, audience, scope, updated_at)
    SELECT user_id, client_id, '', scope, updated_at FROM consents;
