package store

import (
	"context"
	"database/sql"
	"errors"
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

// Empty reports whether the database has neither users nor clients.
func (s *Store) Empty(ctx context.Context) (empty bool, err error) {
	err = s.read.scanRow(ctx,
		"SELECT NOT EXISTS (SELECT 1 FROM users) AND NOT EXISTS (SELECT 1 FROM clients)", nil, &empty)
	return empty, unavailable("look for users", err)
}

// unchangedDemo is the condition for a user who was made by the demo and still has the demo's password. No index finds
// these users, only their usernames.
const unchangedDemo = "demo = 1 AND password_version = 0"

// HasDemoUsers reports whether one of these usernames is that of an active user who still has the demo's password.
func (s *Store) HasDemoUsers(ctx context.Context, usernames []string) (has bool, err error) {
	for _, username := range usernames {
		err = s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE username = $1 AND "+unchangedDemo+
			" AND disabled_at IS NULL)", []any{username}, &has)
		if err != nil || has {
			return has, unavailable("look for demo users", err)
		}
	}
	return false, nil
}

// EndDemo deletes the sessions of the users with these usernames who still have the demo's password, and
// revokes their grants.
func (s *Store) EndDemo(ctx context.Context, usernames []string, now time.Time) error {
	return s.inTx(ctx, "end demo", func(ctx context.Context, tx transaction) error {
		for _, username := range usernames {
			var id string
			err := tx.QueryRowContext(ctx, lockUser+"username = $1 AND "+unchangedDemo+" RETURNING id", username).Scan(&id)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				continue
			case err != nil:
				return unavailable("end demo", err)
			}
			if err := endLogins(ctx, tx, id, "", now); err != nil {
				return err
			}
		}
		return nil
	})
}

// setProperty stores a value unless there is one.
func (s *Store) setProperty(ctx context.Context, name, value string) error {
	_, err := s.exec(ctx, "set property",
		"INSERT INTO properties (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, value)
	return err
}
