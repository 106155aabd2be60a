DELETE FROM clients WHERE id = $1;
DELETE FROM failed_logins WHERE account = $1;
DELETE FROM failed_logins WHERE account IN (SELECT account FROM failed_logins WHERE last_at < $1 ORDER BY last_at LIMIT $2 );
DELETE FROM grants WHERE number IN (SELECT number FROM grants WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 );
DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = $1);
DELETE FROM users WHERE username = $1;
INSERT INTO clients (id, name, secret_digest, grant_types, scope, first_party, introspects, redirect_uris, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING;
INSERT INTO failed_logins (account, count, last_at) VALUES ($1, 1, $2)
		 ON CONFLICT (account) DO UPDATE SET last_at = $2,
		 count = CASE WHEN failed_logins.last_at < $3 THEN 1 ELSE failed_logins.count + 1 END;
INSERT INTO grants (type, client_id, user_id, session, audience, scope, created_at, expires_at, refresh_family, refresh_digest, refresh_ends_at) SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM clients WHERE id = $2  RETURNING number;
INSERT INTO users (id, username, name, password_hash, created_at, last_login_at, disabled_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (username) DO NOTHING;
SELECT COUNT(*) FROM grants WHERE expires_at >= $1 AND revoked_at IS NULL;
SELECT EXISTS (SELECT 1 FROM users);
SELECT count, last_at FROM failed_logins WHERE account = $1;
SELECT id, name, secret_digest, grant_types, scope, first_party, introspects, redirect_uris, created_at FROM clients ORDER BY id;
SELECT id, name, secret_digest, grant_types, scope, first_party, introspects, redirect_uris, created_at FROM clients WHERE id = $1;
SELECT id, username, name, password_hash, created_at, last_login_at, disabled_at FROM users ORDER BY username;
SELECT id, username, name, password_hash, created_at, last_login_at, disabled_at FROM users WHERE id = $1;
SELECT id, username, name, password_hash, created_at, last_login_at, disabled_at FROM users WHERE username = $1;
SELECT number, type, client_id, user_id, session, audience, scope, created_at, expires_at, revoked_at, refresh_family, refresh_digest, refresh_trail, refresh_ends_at FROM grants WHERE number = $1;
UPDATE clients SET secret_digest = $2 WHERE id = $1 AND secret_digest <> '';
UPDATE grants SET revoked_at = $1 WHERE client_id IS NULL AND revoked_at IS NULL;
UPDATE grants SET revoked_at = $2 WHERE revoked_at IS NULL AND user_id = (SELECT id FROM users WHERE username = $1);
UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE username = $1;
UPDATE users SET disabled_at = NULL WHERE username = $1;
UPDATE users SET last_login_at = $2 WHERE id = $1 AND disabled_at IS NULL;
UPDATE users SET password_hash = $2 WHERE username = $1;
UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2;
