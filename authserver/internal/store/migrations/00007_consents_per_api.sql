-- What a user has allowed a client at one API; an empty audience means the API of the
-- server's settings. It takes the place of consents, which knew one API: servers of the
-- version before go on using that one while they run, and a user is asked again about
-- what was allowed there meanwhile. It can be dropped when none of them runs any more.
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
