-- The APIs whose tokens a client may introspect, separated by spaces; the word default is the default
-- API. Clients that could introspect every token until now keep the APIs that exist.
ALTER TABLE clients ADD COLUMN introspects_for {{text}} NOT NULL DEFAULT '';

UPDATE clients SET introspects_for = 'default' WHERE introspects = 1;
UPDATE clients SET introspects_for = introspects_for || ' ' ||
        (SELECT string_agg(audience, ' ') FROM apis
          WHERE deleted_at IS NULL AND audience NOT IN (SELECT audience FROM default_api))
    WHERE introspects = 1 AND EXISTS (SELECT 1 FROM apis
          WHERE deleted_at IS NULL AND audience NOT IN (SELECT audience FROM default_api));

-- Whether a confidential client may request codes without PKCE.
ALTER TABLE clients ADD COLUMN without_pkce BIGINT NOT NULL DEFAULT 0 CHECK (without_pkce IN (0, 1));

-- How often the consents of a user to a client have been revoked. A code can be redeemed while that is
-- what it was when the authorization request was checked; NULL for codes of the previous version.
CREATE TABLE consent_revocations (
    user_id   {{text}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id {{text}} NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    times     BIGINT   NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

ALTER TABLE codes ADD COLUMN consent_revocations BIGINT;

-- Consents to APIs that were deleted counted for APIs added later under the same audience.
DELETE FROM api_consents WHERE audience <> ''
    AND audience NOT IN (SELECT audience FROM apis WHERE deleted_at IS NULL);
