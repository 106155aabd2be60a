package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// CreateSession stores a browser session under the digest of its cookie and deletes a few expired
// ones. It returns grant.ErrInactive if the user is disabled or deleted, or if the password has
// been changed since user was read. It gives back the tries of the login and records its address. place is where the
// login came from.
func (s *Store) CreateSession(
	ctx context.Context,
	digest string,
	user account.User,
	place account.Place,
	now, expiresAt time.Time,
) error {
	err := s.inTx(ctx, "create session", func(ctx context.Context, tx transaction) error {
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
		if err := s.finishLogin(ctx, tx, user.ID, user.Login, now); err != nil {
			return err
		}
		_, err = changed(ctx, tx, "create session",
			"INSERT INTO sessions (digest, user_id, created_at, expires_at, address, agent) VALUES ($1, $2, $3, $4, $5, $6)",
			digest, user.ID, seconds(now), seconds(expiresAt), place.Address, place.Agent)
		return err
	})
	if err != nil {
		return err
	}
	return s.sweep(ctx, "sessions",
		"DELETE FROM sessions WHERE digest IN "+
			"(SELECT digest FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 "+s.dialect.skipLocked+")",
		seconds(now), sweepSize)
}

// ReplaceSession creates a session of the user and deletes the old session of the same browser.
// The user's codes and grants move to the new session, so that a logout ends them too. Those of
// another user do not: this ends that user's session, and the clients are told. The errors are those
// of CreateSession.
func (s *Store) ReplaceSession(
	ctx context.Context,
	old, digest string,
	user account.User,
	place account.Place,
	now, expiresAt time.Time,
) error {
	if err := s.CreateSession(ctx, digest, user, place, now, expiresAt); err != nil {
		return err
	}
	return s.inTx(ctx, "replace session", func(ctx context.Context, tx transaction) error {
		goesOn, err := inheritSessionID(ctx, tx, old, digest)
		if err != nil {
			return err
		}
		if err := addNotices(ctx, tx, now, ofSession+" AND grants.user_id <> $3", old, user.ID); err != nil {
			return err
		}
		if _, err := changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", old); err != nil {
			return err
		}
		_, err = changed(ctx, tx, "move codes",
			"UPDATE codes SET session = $2 WHERE session = $1 AND session <> '' AND user_id = $3",
			old, digest, user.ID)
		if err != nil {
			return err
		}
		// A grant with a sid is kept as long as the session, so that its client is told when the session ends.
		// A revoked one moves too, unless the old session had ended.
		_, err = changed(ctx, tx, "move grants",
			"UPDATE grants SET session = $2, expires_at = CASE WHEN sid <> '' AND expires_at < $4 THEN $4 "+
				"ELSE expires_at END WHERE session = $1 AND session <> '' AND user_id = $3 "+
				"AND (revoked_at IS NULL OR CAST($5 AS BIGINT) = 1)",
			old, digest, user.ID, seconds(expiresAt), number(goesOn))
		return err
	})
}

// SessionUser returns the user of a session, and how and when the user logged in. It returns
// record.ErrNotFound if there is no such session, it has expired, it began at a time ahead of now
// (the clock was wrong, and it would last for too long), or the user is disabled.
func (s *Store) SessionUser(
	ctx context.Context,
	digest string,
	now time.Time,
) (account.User, grant.Authentication, error) {
	var userID, methods, sid string
	var created sql.NullInt64
	err := s.read.scanRow(ctx,
		"SELECT user_id, created_at, methods, sid FROM sessions WHERE digest = $1 AND expires_at > $2 AND created_at <= $3",
		[]any{digest, seconds(now), seconds(now.Add(account.ClockMargin))}, &userID, &created, &methods, &sid)
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, grant.Authentication{}, errNoSession
	}
	if err != nil {
		return account.User{}, grant.Authentication{}, unavailable("read session", err)
	}
	user, err := s.UserByID(ctx, userID)
	if err == nil && !user.Active() {
		err = errNoSession
	}
	return user, grant.Authentication{
		At: timeOf(created), Methods: words(methods), SessionID: cmp.Or(sid, grant.SessionID(digest)),
	}, err
}

// DeleteSession deletes a session. If revoke is set, it also revokes all grants of the session, and the
// clients are told.
func (s *Store) DeleteSession(ctx context.Context, digest string, revoke bool, now time.Time) error {
	return s.inTx(ctx, "delete session", func(ctx context.Context, tx transaction) error {
		// Lock the user first: a code that is being redeemed either has started its grant by then,
		// or will find no session.
		_, err := changed(ctx, tx, "lock user",
			"UPDATE users SET last_login_at = last_login_at WHERE id = (SELECT user_id FROM sessions WHERE digest = $1)", digest)
		if err != nil {
			return err
		}
		if revoke {
			if err := addNotices(ctx, tx, now, ofSession, digest); err != nil {
				return err
			}
		}
		_, err = changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", digest)
		if err != nil || !revoke {
			return err
		}
		_, err = revokeGrants(ctx, tx, now, "session = $3 AND session <> ''", digest)
		return err
	})
}
