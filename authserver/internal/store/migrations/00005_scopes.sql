-- What scopes mean, in the words that users are asked with and that clients find in the
-- metadata. The first is the one that this server itself gives a meaning to.
CREATE TABLE scopes (
    name        {{text}} PRIMARY KEY,
    description {{text}} NOT NULL
);

INSERT INTO scopes (name, description) VALUES ('profile', 'See your name and your username');
