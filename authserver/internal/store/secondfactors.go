package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// hasFactor is the condition that the user $1 has a second factor.
const hasFactor = "EXISTS (SELECT 1 FROM second_factors WHERE user_id = $1)"

// SecondFactors returns the second factors of a user, in the order in which they were added.
func (s *Store) SecondFactors(ctx context.Context, userID string) ([]secondfactor.Factor, error) {
	return list(ctx, s.read, "list second factors", scanFactor,
		"SELECT id, user_id, kind, name, secret, created_at, last_used_at, last_step FROM second_factors "+
			"WHERE user_id = $1 ORDER BY created_at, id", userID)
}

func scanFactor(r row) (f secondfactor.Factor, err error) {
	var created, used sql.NullInt64
	err = r.Scan(&f.ID, &f.UserID, &f.Kind, &f.Name, &f.Secret, &created, &used, &f.LastStep)
	f.CreatedAt, f.LastUsedAt = timeOf(created), timeOf(used)
	return f, unavailable("list second factors", err)
}

// HasSecondFactor reports whether a user has a second factor.
func (s *Store) HasSecondFactor(ctx context.Context, userID string) (has bool, err error) {
	err = s.read.scanRow(ctx, "SELECT "+hasFactor, []any{userID}, &has)
	return has, unavailable("look for second factors", err)
}

// CountRecoveryCodes returns how many recovery codes a user has left.
func (s *Store) CountRecoveryCodes(ctx context.Context, userID string) (n int, err error) {
	err = s.read.scanRow(ctx, "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1", []any{userID}, &n)
	return n, unavailable("count recovery codes", err)
}

// AddSecondFactor adds the factor and the recovery codes of a completion to a user, and asks for a mail to the user.
// It ends the user's logins as ChangePassword does, and records in the session keep that its user has used a second
// factor. It returns secondfactor.ErrTooMany, secondfactor.ErrTaken, secondfactor.ErrIncorrect for a challenge that was
// used, or account.ErrChanged if the user is disabled or deleted, the password has been changed since user was read, or
// the session keep has ended.
func (s *Store) AddSecondFactor(
	ctx context.Context,
	user account.User,
	c secondfactor.Completion,
	keep string,
	now time.Time,
) error {
	return s.inTx(ctx, "add second factor", func(ctx context.Context, tx transaction) error {
		if err := lockLoggedIn(ctx, tx, user, keep, now); err != nil {
			return err
		}
		if err := s.addFactor(ctx, tx, c, now); err != nil {
			return err
		}
		if err := endAll(ctx, tx, user.ID, keep, now); err != nil {
			return err
		}
		if err := recordOf(ctx, tx, "second_factor_added", user.ID, now, "kind", string(c.Added.Kind)); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "mark session", "UPDATE sessions SET methods = $2 WHERE digest = $1",
			keep, strings.Join(c.Methods, " "))
		return err
	})
}

// lockUnchanged locks a user. It returns account.ErrChanged if the user is disabled or deleted, or if the password has
// been changed.
func lockUnchanged(ctx context.Context, tx transaction, user account.User) error {
	n, err := changed(ctx, tx, "lock user", "UPDATE users SET last_login_at = last_login_at "+
		"WHERE id = $1 AND disabled_at IS NULL AND password_version = $2", user.ID, user.PasswordVersion)
	if err == nil && n == 0 {
		err = account.ErrChanged
	}
	return err
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

// addFactor adds the factor and the recovery codes of a completion. The user is locked.
func (s *Store) addFactor(ctx context.Context, tx transaction, c secondfactor.Completion, now time.Time) error {
	f := c.Added
	n, err := changed(ctx, tx, "add second factor",
		"INSERT INTO second_factors (id, user_id, kind, name, secret, created_at, last_used_at, last_step) "+
			"SELECT $1, $2, $3, $4, $5, $6, $7, $8 "+
			"WHERE (SELECT COUNT(*) FROM second_factors WHERE user_id = $2 AND kind = $3) < $9 ON CONFLICT (id) DO NOTHING",
		f.ID, f.UserID, string(f.Kind), f.Name, f.Secret, seconds(f.CreatedAt), seconds(f.LastUsedAt), f.LastStep,
		secondfactor.Max(f.Kind))
	if err == nil && n == 0 {
		err = whyNotAdded(ctx, tx, f.ID)
	}
	if err == nil {
		err = s.useChallenge(ctx, tx, c.Challenge, now)
	}
	if err == nil && len(c.AddedCodes) > 0 {
		err = replaceCodes(ctx, tx, f.UserID, c.AddedCodes, now)
	}
	if err == nil {
		err = endPending(ctx, tx, f.UserID)
	}
	if err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.SecondFactorAdded, UserID: f.UserID, CreatedAt: now})
}

// whyNotAdded returns the error for a factor that was not added.
func whyNotAdded(ctx context.Context, tx transaction, id string) error {
	var taken bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM second_factors WHERE id = $1)", id).Scan(&taken)
	switch {
	case err != nil:
		return unavailable("add second factor", err)
	case taken:
		return secondfactor.ErrTaken
	}
	return secondfactor.ErrTooMany
}

// replaceCodes replaces the recovery codes of a user, who is locked.
func replaceCodes(ctx context.Context, tx transaction, userID string, digests []string, now time.Time) error {
	_, err := changed(ctx, tx, "delete recovery codes", "DELETE FROM recovery_codes WHERE user_id = $1", userID)
	for _, digest := range digests {
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "add recovery code",
			"INSERT INTO recovery_codes (user_id, digest, created_at) VALUES ($1, $2, $3)", userID, digest, seconds(now))
	}
	return err
}

// endPending ends the logins of a user that wait for their second step: the second factors have changed.
func endPending(ctx context.Context, tx transaction, userID string) error {
	_, err := changed(ctx, tx, "end pending logins", "DELETE FROM pending_logins WHERE user_id = $1", userID)
	return err
}

// RemoveSecondFactor removes a factor of a user, with the last one the recovery codes too, and asks for a mail to the
// user. It ends the user's logins as ChangePassword does. It returns secondfactor.ErrUnknown,
// secondfactor.ErrRequired for the last one if that must stay, or account.ErrChanged as AddSecondFactor does.
func (s *Store) RemoveSecondFactor(
	ctx context.Context,
	user account.User,
	id, keep string,
	mustStay bool,
	now time.Time,
) error {
	return s.inTx(ctx, "remove second factor", func(ctx context.Context, tx transaction) error {
		if err := lockLoggedIn(ctx, tx, user, keep, now); err != nil {
			return err
		}
		n, err := changed(ctx, tx, "remove second factor",
			"DELETE FROM second_factors WHERE id = $1 AND user_id = $2", id, user.ID)
		if err == nil && n == 0 {
			err = secondfactor.ErrUnknown
		}
		if err != nil {
			return err
		}
		var left bool
		if err := tx.QueryRowContext(ctx, "SELECT "+hasFactor, user.ID).Scan(&left); err != nil {
			return unavailable("remove second factor", err)
		}
		if !left && mustStay {
			return secondfactor.ErrRequired
		}
		if !left {
			err = replaceCodes(ctx, tx, user.ID, nil, now)
		}
		if err == nil {
			err = s.factorsRemoved(ctx, tx, user.ID, now)
		}
		if err == nil {
			err = recordOf(ctx, tx, "second_factor_removed", user.ID, now)
		}
		if err != nil {
			return err
		}
		return endAll(ctx, tx, user.ID, keep, now)
	})
}

// factorsRemoved ends pending logins and asks for a mail, after a factor of the user was removed.
func (s *Store) factorsRemoved(ctx context.Context, tx transaction, userID string, now time.Time) error {
	if err := endPending(ctx, tx, userID); err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.SecondFactorRemoved, UserID: userID, CreatedAt: now})
}

// RemoveSecondFactors removes all second factors and recovery codes of a user, who has lost them, ends all logins of
// the user, who may have lost a device that is logged in, and asks for a mail to the user. It returns how many factors
// there were, or record.ErrNotFound if there is no such user.
func (s *Store) RemoveSecondFactors(ctx context.Context, username string, now time.Time) (n int64, err error) {
	err = s.inTx(ctx, "remove second factors", func(ctx context.Context, tx transaction) error {
		var id string
		err := tx.QueryRowContext(ctx,
			"UPDATE users SET last_login_at = last_login_at WHERE username = $1 RETURNING id", username).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoUser
		}
		if err != nil {
			return unavailable("remove second factors", err)
		}
		n, err = changed(ctx, tx, "remove second factors", "DELETE FROM second_factors WHERE user_id = $1", id)
		if err == nil {
			err = replaceCodes(ctx, tx, id, nil, now)
		}
		if err == nil {
			err = s.factorsRemoved(ctx, tx, id, now)
		}
		if err != nil {
			return err
		}
		if err := endAll(ctx, tx, id, "", now); err != nil {
			return err
		}
		return recordEvent(ctx, tx, "user_second_factors_removed", username, now)
	})
	return n, err
}

// ReplaceRecoveryCodes replaces the recovery codes of a user who is logged in with the session keep, and asks for a
// mail to the user. It returns secondfactor.ErrUnknown if the user has no second factor, or account.ErrChanged as
// AddSecondFactor does.
func (s *Store) ReplaceRecoveryCodes(
	ctx context.Context,
	user account.User,
	keep string,
	digests []string,
	now time.Time,
) error {
	return s.inTx(ctx, "replace recovery codes", func(ctx context.Context, tx transaction) error {
		if err := lockLoggedIn(ctx, tx, user, keep, now); err != nil {
			return err
		}
		var has bool
		if err := tx.QueryRowContext(ctx, "SELECT "+hasFactor, user.ID).Scan(&has); err != nil {
			return unavailable("replace recovery codes", err)
		}
		if !has {
			return secondfactor.ErrUnknown
		}
		if err := replaceCodes(ctx, tx, user.ID, digests, now); err != nil {
			return err
		}
		if err := recordOf(ctx, tx, "recovery_codes_replaced", user.ID, now); err != nil {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{Kind: mail.RecoveryCodesReplaced, UserID: user.ID, CreatedAt: now})
	})
}

// TellPasswordOnly asks for a mail to a user that a login by the right password alone was refused, unless one was asked
// for within the last hour.
func (s *Store) TellPasswordOnly(ctx context.Context, userID string, now time.Time) error {
	return s.inTx(ctx, "tell user", func(ctx context.Context, tx transaction) error {
		return s.tellHourly(ctx, tx, mail.Request{Kind: mail.PasswordOnly, UserID: userID, CreatedAt: now})
	})
}

// TellWrongCodes asks for a mail to a user that too many codes were wrong after the right password, unless one was
// asked for within the last hour. It does nothing while a pending login has tries left; an empty digest means that the
// tries of all logins are too many.
func (s *Store) TellWrongCodes(ctx context.Context, userID, pending string, now time.Time) error {
	return s.inTx(ctx, "tell user", func(ctx context.Context, tx transaction) error {
		var left bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pending_logins WHERE digest = $1 AND tries < $2)",
			pending, secondfactor.MaxTries).Scan(&left)
		if err != nil || left {
			return unavailable("tell user", err)
		}
		return s.tellHourly(ctx, tx, mail.Request{Kind: mail.WrongCodes, UserID: userID, CreatedAt: now})
	})
}

// tellHourly asks for a mail to a user, unless one of its kind was asked for within the last hour.
func (s *Store) tellHourly(ctx context.Context, tx transaction, m mail.Request) error {
	if err := s.lock(ctx, tx, "mails to "+m.UserID, m.CreatedAt); err != nil {
		return err
	}
	var told bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM mail_requests WHERE user_id = $1 AND kind = $2 "+
		"AND created_at > $3 AND created_at <= $4)", m.UserID, string(m.Kind),
		seconds(m.CreatedAt.Add(-mail.LimitPeriod)), seconds(m.CreatedAt.Add(account.ClockMargin))).Scan(&told)
	if err != nil || told {
		return unavailable("tell user", err)
	}
	return s.addMail(ctx, tx, m)
}

// completeLogin carries out what a login does in its second step, or what a login by a passkey alone does. The user is
// locked. It returns secondfactor.ErrPendingUnknown if the login no longer waits, or secondfactor.ErrIncorrect if the
// code or the challenge was used since it was checked.
func (s *Store) completeLogin(
	ctx context.Context,
	tx transaction,
	user account.User,
	c secondfactor.Completion,
	now time.Time,
) error {
	err := endPendingLogin(ctx, tx, user, c, now)
	switch {
	case err != nil:
	case c.Used != nil:
		if err = s.useChallenge(ctx, tx, c.Challenge, now); err == nil {
			err = useFactor(ctx, tx, *c.Used)
		}
	case c.RecoveryCode != "":
		err = s.useRecoveryCode(ctx, tx, user.ID, c.RecoveryCode, now)
	case c.Added != nil:
		err = s.addFirstFactor(ctx, tx, c, now)
	}
	return err
}

// endPendingLogin ends the pending login of a completion. A login by a passkey alone has none.
func endPendingLogin(
	ctx context.Context,
	tx transaction,
	user account.User,
	c secondfactor.Completion,
	now time.Time,
) error {
	if c.Pending == "" && c.Used != nil && c.Used.Kind == secondfactor.KindPasskey && c.Challenge.Digest != "" {
		return nil
	}
	n, err := changed(ctx, tx, "end pending login", "DELETE FROM pending_logins WHERE digest = $1 AND user_id = $2 "+
		"AND password_version = $3 AND expires_at > $4 AND created_at <= $5",
		c.Pending, user.ID, user.PasswordVersion, seconds(now), seconds(now.Add(account.ClockMargin)))
	if err == nil && n == 0 {
		err = secondfactor.ErrPendingUnknown
	}
	return err
}

// useFactor records the use of a factor. Of two uses of one code, one succeeds: the other gets
// secondfactor.ErrIncorrect. A passkey whose device has no counter always has 0.
func useFactor(ctx context.Context, tx transaction, f secondfactor.Factor) error {
	n, err := changed(ctx, tx, "use second factor", "UPDATE second_factors SET last_step = $3, last_used_at = $4, "+
		"secret = $5 WHERE id = $1 AND user_id = $2 AND (last_step < $3 OR kind = 'passkey' AND last_step = 0 AND $3 = 0)",
		f.ID, f.UserID, f.LastStep, seconds(f.LastUsedAt), f.Secret)
	if err == nil && n == 0 {
		err = secondfactor.ErrIncorrect
	}
	return err
}

// useRecoveryCode deletes a recovery code and asks for a mail to the user. It returns secondfactor.ErrIncorrect if the
// user has no such code.
func (s *Store) useRecoveryCode(ctx context.Context, tx transaction, userID, digest string, now time.Time) error {
	n, err := changed(ctx, tx, "use recovery code",
		"DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2", userID, digest)
	if err == nil && n == 0 {
		err = secondfactor.ErrIncorrect
	}
	if err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.RecoveryCodeUsed, UserID: userID, CreatedAt: now})
}

// addFirstFactor adds the first factor of a user, whose other logins end. It returns secondfactor.ErrPendingUnknown if
// the user already has one: then the password alone must not add another one.
func (s *Store) addFirstFactor(ctx context.Context, tx transaction, c secondfactor.Completion, now time.Time) error {
	var has bool
	if err := tx.QueryRowContext(ctx, "SELECT "+hasFactor, c.Added.UserID).Scan(&has); err != nil {
		return unavailable("look for second factors", err)
	}
	if has {
		return secondfactor.ErrPendingUnknown
	}
	if err := useEnrolLink(ctx, tx, c); err != nil {
		return err
	}
	if err := s.addFactor(ctx, tx, c, now); err != nil {
		return err
	}
	err := recordOf(ctx, tx, "second_factor_added", c.Added.UserID, now, "kind", string(c.Added.Kind))
	if err != nil {
		return err
	}
	return endAll(ctx, tx, c.Added.UserID, "", now)
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
