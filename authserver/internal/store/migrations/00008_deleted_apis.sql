-- When an API was deleted. Its row stays until the last token for it has expired, because so
-- long the API has to learn that they are revoked. Servers of the version before take it for
-- one that is registered, and their command line says that its audience is taken.
ALTER TABLE apis ADD COLUMN deleted_at BIGINT;

-- What deleting an API revokes.
CREATE INDEX grants_by_audience ON grants (audience) WHERE audience <> '';
