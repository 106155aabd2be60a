-- The thumbprint of the key (RFC 7638) that a code, or the refresh tokens of a public client's grant, are bound to (RFC
-- 9449). Empty if they are bound to no key.
--
-- Servers of the previous version do not check proofs, and issue bearer tokens. While they run beside this one, a stolen
-- refresh token can be used there without its key.
ALTER TABLE codes ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';

-- Whether all token requests of a client must have a proof.
ALTER TABLE clients ADD COLUMN require_dpop BIGINT NOT NULL DEFAULT 0 CHECK (require_dpop IN (0, 1));
