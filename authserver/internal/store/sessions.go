package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// NewSession is a browser session that is about to be stored.
type NewSession struct {
	// Digest is the digest of its cookie, Old that of the previous session of the same browser; or empty.
	Digest, Old string
	// User is who has logged in, as read when the password was checked.
	User account.User
	// Methods are those of the login (amr, RFC 8176). None means the password.
	Methods []string
	// Second is the second step of the login; nil if there was none.
	Second *secondfactor.Completion
	// Place is where the login came from.
	Place account.Place
	// Language is that of the login page; empty if it is not known. The user gets mails in it.
	Language string
	// CreatedAt and ExpiresAt bound its life.
	CreatedAt, ExpiresAt time.Time
}

// StartSession stores a browser session, carries out the second step of its login, and deletes a few expired sessions.
// It gives back the tries of the login and records its address. It returns grant.ErrInactive if the user is disabled
// or deleted, if the password has been changed since User was read, or if the user has a second factor and there was no
// second step; secondfactor.ErrPendingUnknown if the login does not wait for its second step any longer; and
// secondfactor.ErrIncorrect if the code was used since it was checked. Then nothing changes.
//
// It deletes the old session of the same browser. The user's codes and grants move to the new session, so that a logout
// ends them too. Those of another user do not: this ends that user's session, and the clients are told.
func (s *Store) StartSession(ctx context.Context, n NewSession) error {
	if len(n.Methods) == 0 {
		n.Methods = []string{grant.MethodPassword}
	}
	err := s.inTx(ctx, "start session", func(ctx context.Context, tx transaction) error {
		if err := s.createSession(ctx, tx, n); err != nil || n.Old == "" {
			return err
		}
		return replaceSession(ctx, tx, n)
	})
	if err != nil {
		return err
	}
	s.sweepAfter(ctx, expiringSessions, n.CreatedAt)
	return nil
}

// createSession stores the session, and does what goes with its login.
func (s *Store) createSession(ctx context.Context, tx transaction, n NewSession) error {
	if err := lockUnchanged(ctx, tx, n.User); errors.Is(err, account.ErrChanged) {
		return grant.ErrInactive
	} else if err != nil {
		return err
	}
	if n.Second != nil {
		if err := s.completeLogin(ctx, tx, n.User, *n.Second, n.CreatedAt); err != nil {
			return err
		}
	}
	if err := mustHaveStep(ctx, tx, n.User.ID, n.Methods); err != nil {
		return err
	}
	if err := setLanguage(ctx, tx, n.User.ID, n.Language); err != nil {
		return err
	}
	if err := s.finishLogin(ctx, tx, n.User.ID, n.User.Login, n.CreatedAt); err != nil {
		return err
	}
	if err := auditLoggedIn(ctx, tx, n); err != nil {
		return err
	}
	_, err := changed(ctx, tx, "create session",
		"INSERT INTO sessions (digest, user_id, created_at, expires_at, address, agent, methods) "+
			"VALUES ($1, $2, $3, $4, $5, $6, $7)",
		n.Digest, n.User.ID, seconds(n.CreatedAt), seconds(n.ExpiresAt), n.Place.Address, n.Place.Agent,
		strings.Join(n.Methods, " "))
	return err
}

// auditLoggedIn adds a login in a browser to the audit log.
func auditLoggedIn(ctx context.Context, tx transaction, n NewSession) error {
	recovery := ""
	if n.Second != nil && n.Second.UsedCode != "" {
		recovery = "used"
	}
	return auditUser(ctx, tx, audit.Login, n.User.ID, n.CreatedAt,
		"methods", strings.Join(n.Methods, " "), "recovery_code", recovery)
}

// setLanguage sets the language of a user, unless it is not known or the same.
func setLanguage(ctx context.Context, tx transaction, userID, language string) error {
	if language == "" {
		return nil
	}
	_, err := changed(ctx, tx, "set language",
		"UPDATE users SET language = $2 WHERE id = $1 AND language <> $2", userID, language)
	return err
}

// replaceSession deletes the old session of a browser: see StartSession.
func replaceSession(ctx context.Context, tx transaction, n NewSession) error {
	goesOn, err := inheritSessionID(ctx, tx, n.Old, n.Digest)
	if err != nil {
		return err
	}
	if err := addNotices(ctx, tx, n.CreatedAt, ofSession+" AND grants.user_id <> $3", n.Old, n.User.ID); err != nil {
		return err
	}
	if _, err := changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", n.Old); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "move codes",
		"UPDATE codes SET session = $2 WHERE session = $1 AND session <> '' AND user_id = $3",
		n.Old, n.Digest, n.User.ID)
	if err != nil {
		return err
	}
	// A grant with a sid is kept as long as the session, so that its client is told when the session ends.
	// A revoked one moves too, unless the old session had ended.
	_, err = changed(ctx, tx, "move grants",
		"UPDATE grants SET session = $2, expires_at = CASE WHEN sid <> '' AND expires_at < $4 THEN $4 "+
			"ELSE expires_at END WHERE session = $1 AND session <> '' AND user_id = $3 "+
			"AND (revoked_at IS NULL OR CAST($5 AS BIGINT) = 1)",
		n.Old, n.Digest, n.User.ID, seconds(n.ExpiresAt), number(goesOn))
	return err
}

// SessionUser returns the user of a session, and how and when the user logged in. It returns
// record.ErrNotFound if there is no such session, it has expired, it began at a time ahead of now
// (the clock was wrong, and it would last for too long), or the user is disabled. A session without a second factor, of
// a user who has one, does not count either: a server of the previous version has started it.
func (s *Store) SessionUser(
	ctx context.Context,
	digest string,
	now time.Time,
) (account.User, grant.Authentication, error) {
	var userID, methods, sid string
	var created sql.NullInt64
	err := s.read.scanRow(ctx,
		"SELECT user_id, COALESCE(auth_time, created_at), methods, sid FROM sessions "+
			"WHERE digest = $1 AND expires_at > $2 AND created_at <= $3 AND (methods LIKE '%"+grant.MethodMultiFactor+"' "+
			"OR NOT EXISTS (SELECT 1 FROM second_factors WHERE second_factors.user_id = sessions.user_id))",
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
		var userID string
		err := tx.QueryRowContext(ctx,
			lockUser+"id = (SELECT user_id FROM sessions WHERE digest = $1) RETURNING id", digest).Scan(&userID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return unavailable("lock user", err)
		}
		if revoke {
			if err := addNotices(ctx, tx, now, ofSession, digest); err != nil {
				return err
			}
		}
		n, err := changed(ctx, tx, "delete session", "DELETE FROM sessions WHERE digest = $1", digest)
		if err == nil && n > 0 {
			err = auditUser(ctx, tx, ended(ctx, userID, "logout", "user_session_ended"), userID, now,
				"apps_too", strconv.FormatBool(revoke))
		}
		if err != nil || !revoke {
			return err
		}
		_, err = revokeGrants(ctx, tx, now, "session = $3 AND session <> ''", digest)
		return err
	})
}
