package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// CreateSession stores a browser session under the digest of its cookie and deletes a few expired
// ones. It returns grant.ErrInactive if the user is disabled or deleted, or if the password has
// been changed since user was read. It gives back the tries of the login.
func (s *Store) CreateSession(
	ctx context.Context,
	digest string,
	user account.User,
	now, expiresAt time.Time,
) error {
	err := s.inTx(ctx, "create session", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "lock user",
			"UPDATE users SET last_login_at = last_login_at "+
				"WHERE id = $1 AND disabled_at IS NULL AND password_version = $2",
			user.ID, user.PasswordVersion)
		if err != nil {
			return err
		}
		if n == 0 {
			return grant.ErrInactive
		}
		if err := giveBackTries(ctx, tx, user.Login); err != nil {
			return err
		}
		_, err = changed(ctx, tx, "create session",
			"INSERT INTO sessions (digest, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
			digest, user.ID, seconds(now), seconds(expiresAt))
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.write.exec(ctx, "sweep sessions",
		"DELETE FROM sessions WHERE digest IN "+
			"(SELECT digest FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 "+s.dialect.skipLocked+")",
		seconds(now), sweepSize)
	return err
}

// ReplaceSession creates a session of the user and deletes the old session of the same browser.
// The user's codes and grants move to the new session, so that a logout ends them too. Those of
// another user do not. The errors are those of CreateSession.
func (s *Store) ReplaceSession(
	ctx context.Context,
	old, digest string,
	user account.User,
	now, expiresAt time.Time,
) error {
	if err := s.CreateSession(ctx, digest, user, now, expiresAt); err != nil {
		return err
	}
	return s.inTx(ctx, "replace session", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", old); err != nil {
			return err
		}
		for _, table := range []string{"codes", "grants"} {
			_, err := changed(ctx, tx, "move "+table,
				"UPDATE "+table+" SET session = $2 WHERE session = $1 AND session <> '' AND user_id = $3",
				old, digest, user.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SessionUser returns the user of a session and the time of the login. It returns
// record.ErrNotFound if there is no such session, it has expired, it began at a time ahead of now
// (the clock was wrong, and it would last for too long), or the user is disabled.
func (s *Store) SessionUser(ctx context.Context, digest string, now time.Time) (account.User, time.Time, error) {
	var userID string
	var created sql.NullInt64
	err := s.read.scanRow(ctx,
		"SELECT user_id, created_at FROM sessions WHERE digest = $1 AND expires_at > $2 AND created_at <= $3",
		[]any{digest, seconds(now), seconds(now.Add(account.ClockMargin))}, &userID, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, time.Time{}, errNoSession
	}
	if err != nil {
		return account.User{}, time.Time{}, unavailable("read session", err)
	}
	user, err := s.UserByID(ctx, userID)
	if err == nil && !user.Active() {
		err = errNoSession
	}
	return user, timeOf(created), err
}

// DeleteSession deletes a session. If revoke is set, it also revokes all grants of the session.
func (s *Store) DeleteSession(ctx context.Context, digest string, revoke bool, now time.Time) error {
	return s.inTx(ctx, "delete session", func(ctx context.Context, tx *sql.Tx) error {
		// Lock the user first: a code that is being redeemed either has started its grant by then,
		// or will find no session.
		_, err := changed(ctx, tx, "lock user",
			"UPDATE users SET last_login_at = last_login_at WHERE id = (SELECT user_id FROM sessions WHERE digest = $1)", digest)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", digest)
		if err != nil || !revoke {
			return err
		}
		_, err = revokeGrants(ctx, tx, now, "session = $3 AND session <> ''", digest)
		return err
	})
}
