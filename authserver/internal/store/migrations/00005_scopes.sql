-- Descriptions of scopes, for the consent page and the metadata. The server itself uses the
-- scope profile.
CREATE TABLE scopes (
    name        {{text}} PRIMARY KEY,
    description {{text}} NOT NULL
);

INSERT INTO scopes (name, description) VALUES ('profile', 'See your name and your username');
