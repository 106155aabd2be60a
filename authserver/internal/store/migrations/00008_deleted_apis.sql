-- When an API was deleted. Its row is kept until the last token for it has expired, because the
-- API must learn until then that its tokens are revoked. Servers of the previous version treat it as
-- registered.
ALTER TABLE apis ADD COLUMN deleted_at BIGINT;

-- For the grants that deleting an API revokes.
CREATE INDEX grants_by_audience ON grants (audience) WHERE audience <> '';
