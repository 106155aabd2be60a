package store

import (
	"context"
	"time"
)

// Names of the values of which a database has one.
const (
	propertyNameKey = "name key"
	propertyDemo    = "demo"

	propertyNonceSecret = "dpop nonce secret" //nolint:gosec // the name
)

// NameKey returns the key of the digests of unknown usernames. The first call stores the given
// one.
func (s *Store) NameKey(ctx context.Context, fresh string) (key string, err error) {
	return s.sharedValue(ctx, propertyNameKey, fresh)
}

// NonceSecret returns the secret of the nonces in DPoP proofs. The first call stores the given one.
func (s *Store) NonceSecret(ctx context.Context, fresh string) (secret string, err error) {
	return s.sharedValue(ctx, propertyNonceSecret, fresh)
}

// sharedValue returns a value that all servers of a database share. The first call stores the given one.
func (s *Store) sharedValue(ctx context.Context, name, fresh string) (value string, err error) {
	if err := s.setProperty(ctx, name, fresh); err != nil {
		return "", err
	}
	err = s.write.scanRow(ctx, "SELECT value FROM properties WHERE name = $1", []any{name}, &value)
	return value, unavailable("read property", err)
}

// DemoMade reports whether the demo's users have been made in this database, even if they
// have been deleted since.
func (s *Store) DemoMade(ctx context.Context) (made bool, err error) {
	err = s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM properties WHERE name = $1)", []any{propertyDemo}, &made)
	return made, unavailable("read property", err)
}

// SetDemoMade records that the demo's users have been made in this database.
func (s *Store) SetDemoMade(ctx context.Context) error {
	return s.setProperty(ctx, propertyDemo, "made")
}

// EndDemo deletes the sessions of the demo's users who still have the demo's password, and
// revokes their grants.
func (s *Store) EndDemo(ctx context.Context, now time.Time) error {
	return s.inTx(ctx, "end demo", func(ctx context.Context, tx transaction) error {
		const users = "user_id IN (SELECT id FROM users WHERE demo = 1 AND password_version = 0)"
		if err := addNotices(ctx, tx, now, "grants."+users+" AND "+ofActive); err != nil {
			return err
		}
		if _, err := changed(ctx, tx, "end demo", "DELETE FROM sessions WHERE "+users); err != nil {
			return err
		}
		_, err := revokeGrants(ctx, tx, now, users)
		return err
	})
}

// setProperty stores a value unless there is one.
func (s *Store) setProperty(ctx context.Context, name, value string) error {
	_, err := s.exec(ctx, "set property",
		"INSERT INTO properties (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value)
	return err
}
