package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// completeLogin carries out what a login does in its second step, or what a login by a passkey alone does. The user is
// locked. It returns secondfactor.ErrPendingUnknown if the login no longer waits, or secondfactor.ErrIncorrect if the
// code or the challenge was used since it was checked, or if the completion has neither a factor nor a code.
func (s *Store) completeLogin(
	ctx context.Context,
	tx transaction,
	user account.User,
	c secondfactor.Completion,
	now time.Time,
) error {
	if err := endPendingLogin(ctx, tx, user, c, now); err != nil {
		return err
	}
	switch {
	case c.UsedFactor != nil:
		if err := s.useChallenge(ctx, tx, c.Challenge, now); err != nil {
			return err
		}
		return useFactor(ctx, tx, *c.UsedFactor, c.OldSecret)
	case c.UsedCode != "":
		return s.useRecoveryCode(ctx, tx, user.ID, c.UsedCode, now)
	case c.NewFactor != nil:
		return s.addFirstFactor(ctx, tx, c, now)
	}
	return secondfactor.ErrIncorrect // the completion does nothing
}

// endPendingLogin ends the pending login of a completion. A login by a passkey alone has none.
func endPendingLogin(
	ctx context.Context,
	tx transaction,
	user account.User,
	c secondfactor.Completion,
	now time.Time,
) error {
	byPasskey := c.UsedFactor != nil && c.UsedFactor.Kind == secondfactor.KindPasskey && c.Challenge.Digest != ""
	if byPasskey && c.Pending == "" {
		return nil
	}
	return changedOne(ctx, tx, "end pending login", secondfactor.ErrPendingUnknown,
		"DELETE FROM pending_logins WHERE digest = $1 AND user_id = $2 "+
			"AND password_version = $3 AND expires_at > $4 AND created_at <= $5",
		c.Pending, user.ID, user.PasswordVersion, seconds(now), seconds(now.Add(account.ClockMargin)))
}

// endPending ends the logins of a user that wait for their second step: the second factors have changed.
func endPending(ctx context.Context, tx transaction, userID string) error {
	_, err := changed(ctx, tx, "end pending logins", "DELETE FROM pending_logins WHERE user_id = $1", userID)
	return err
}

// lockUnchanged locks a user. It returns account.ErrChanged if the user is disabled or deleted, or if the password has
// been changed.
func lockUnchanged(ctx context.Context, tx transaction, user account.User) error {
	return changedOne(ctx, tx, "lock user", account.ErrChanged,
		lockUser+"id = $1 AND disabled_at IS NULL AND password_version = $2", user.ID, user.PasswordVersion)
}

// lockLoggedIn does what lockUnchanged does. It returns account.ErrChanged too if the session keep has ended, is
// another user's, or has no second factor though its user has one: it may have been so when the request began.
func lockLoggedIn(ctx context.Context, tx transaction, user account.User, keep string, now time.Time) error {
	if err := lockUnchanged(ctx, tx, user); err != nil {
		return err
	}
	var methods string
	err := tx.QueryRowContext(ctx, "SELECT methods FROM sessions WHERE digest = $1 AND user_id = $2 AND expires_at > $3 "+
		"AND created_at <= $4", keep, user.ID, seconds(now), seconds(now.Add(account.ClockMargin))).Scan(&methods)
	if errors.Is(err, sql.ErrNoRows) {
		return account.ErrChanged
	}
	if err != nil {
		return unavailable("read session", err)
	}
	err = mustHaveStep(ctx, tx, user.ID, words(methods))
	if errors.Is(err, grant.ErrInactive) {
		err = account.ErrChanged
	}
	return err
}

// mustHaveStep returns grant.ErrInactive if a user who has a second factor has logged in without one.
func mustHaveStep(ctx context.Context, tx transaction, userID string, methods []string) error {
	if (grant.Authentication{Methods: methods}).TwoFactors() {
		return nil
	}
	var has bool
	err := tx.QueryRowContext(ctx, "SELECT "+hasFactor, userID).Scan(&has)
	if err == nil && has {
		return grant.ErrInactive
	}
	return unavailable("look for second factors", err)
}
