package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
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

// AddSecondFactor adds the factor and the recovery codes of a completion to a user, and queues an email to the user.
// It ends the user's logins as ChangePassword does, and records in the renewed session that its user has used a second
// factor. It returns secondfactor.ErrTooMany, secondfactor.ErrTaken, secondfactor.ErrIncorrect for a challenge that was
// used, or account.ErrChanged if the user is disabled or deleted, the password has been changed since user was read, or
// the session has ended.
func (s *Store) AddSecondFactor(
	ctx context.Context,
	user account.User,
	c secondfactor.Completion,
	r account.Renewal,
	now time.Time,
) error {
	return s.inTx(ctx, "add second factor", func(ctx context.Context, tx transaction) error {
		if err := lockLoggedIn(ctx, tx, user, r.From, now); err != nil {
			return err
		}
		if err := s.addFactor(ctx, tx, c, now); err != nil {
			return err
		}
		if err := endAllAndRenew(ctx, tx, user.ID, r, now); err != nil {
			return err
		}
		if err := auditUser(ctx, tx, "second_factor_added", user.ID, now, "kind", string(c.NewFactor.Kind)); err != nil {
			return err
		}
		_, err := changed(ctx, tx, "mark session", "UPDATE sessions SET methods = $2 WHERE digest = $1",
			r.To, strings.Join(c.Methods, " "))
		return err
	})
}

// addFactor adds the factor and the recovery codes of a completion. The user is locked.
func (s *Store) addFactor(ctx context.Context, tx transaction, c secondfactor.Completion, now time.Time) error {
	f := c.NewFactor
	n, err := changed(ctx, tx, "add second factor",
		"INSERT INTO second_factors (id, user_id, kind, name, secret, created_at, last_used_at, last_step) "+
			"SELECT $1, $2, $3, $4, $5, $6, $7, $8 "+
			"WHERE (SELECT COUNT(*) FROM second_factors WHERE user_id = $2 AND kind = $3) < $9 ON CONFLICT (id) DO NOTHING",
		f.ID, f.UserID, string(f.Kind), f.Name, f.Secret, seconds(f.CreatedAt), seconds(f.LastUsedAt), f.LastStep,
		secondfactor.Max(f.Kind))
	if err != nil {
		return err
	}
	if n == 0 {
		return whyNotAdded(ctx, tx, f.ID)
	}
	if err := s.useChallenge(ctx, tx, c.Challenge, now); err != nil {
		return err
	}
	if len(c.NewCodes) > 0 {
		if err := replaceCodes(ctx, tx, f.UserID, c.NewCodes, now); err != nil {
			return err
		}
	}
	if err := endPending(ctx, tx, f.UserID); err != nil {
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

// addFirstFactor adds the first factor of a user, whose other logins end. It returns secondfactor.ErrPendingUnknown if
// the user already has one: then the password alone must not add another one.
func (s *Store) addFirstFactor(ctx context.Context, tx transaction, c secondfactor.Completion, now time.Time) error {
	var has bool
	if err := tx.QueryRowContext(ctx, "SELECT "+hasFactor, c.NewFactor.UserID).Scan(&has); err != nil {
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
	err := auditUser(ctx, tx, "second_factor_added", c.NewFactor.UserID, now, "kind", string(c.NewFactor.Kind))
	if err != nil {
		return err
	}
	return endAll(ctx, tx, c.NewFactor.UserID, "", now)
}

// useFactor records the use of a factor, whose secret must still be oldSecret. Of two uses of one code, one succeeds;
// the other gets secondfactor.ErrIncorrect. So does a passkey that was marked as copied meanwhile. A passkey whose
// device has no counter always has LastStep 0.
func useFactor(ctx context.Context, tx transaction, f secondfactor.Factor, oldSecret string) error {
	return changedOne(ctx, tx, "use second factor", secondfactor.ErrIncorrect,
		"UPDATE second_factors SET last_step = $3, last_used_at = $4, secret = $5 "+
			"WHERE id = $1 AND user_id = $2 AND secret = $6 "+
			"AND (last_step < $3 OR kind = 'passkey' AND last_step = 0 AND $3 = 0)",
		f.ID, f.UserID, f.LastStep, seconds(f.LastUsedAt), f.Secret, oldSecret)
}

// RemoveSecondFactor removes a factor of a user, with the last one the recovery codes too, and queues an email to the
// user. It ends the user's logins as ChangePassword does. It returns secondfactor.ErrUnknown,
// secondfactor.ErrRequired for the last one if that must stay, or account.ErrChanged as AddSecondFactor does.
func (s *Store) RemoveSecondFactor(
	ctx context.Context,
	user account.User,
	id string,
	r account.Renewal,
	mustStay bool,
	now time.Time,
) error {
	return s.inTx(ctx, "remove second factor", func(ctx context.Context, tx transaction) error {
		if err := lockLoggedIn(ctx, tx, user, r.From, now); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "remove second factor", secondfactor.ErrUnknown,
			"DELETE FROM second_factors WHERE id = $1 AND user_id = $2", id, user.ID)
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
			if err := replaceCodes(ctx, tx, user.ID, nil, now); err != nil {
				return err
			}
		}
		if err := s.factorsRemoved(ctx, tx, user.ID, now); err != nil {
			return err
		}
		if err := auditUser(ctx, tx, "second_factor_removed", user.ID, now); err != nil {
			return err
		}
		return endAllAndRenew(ctx, tx, user.ID, r, now)
	})
}

// factorsRemoved ends pending logins and queues an email, after a factor of the user was removed.
func (s *Store) factorsRemoved(ctx context.Context, tx transaction, userID string, now time.Time) error {
	if err := endPending(ctx, tx, userID); err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.SecondFactorRemoved, UserID: userID, CreatedAt: now})
}

// RemoveSecondFactors removes all second factors and recovery codes of a user, who has lost them, ends all logins of
// the user, who may have lost a device that is logged in, and queues an email to the user. It returns how many factors
// there were, or record.ErrNotFound if there is no such user.
func (s *Store) RemoveSecondFactors(ctx context.Context, username string, now time.Time) (n int64, err error) {
	err = s.inTx(ctx, "remove second factors", func(ctx context.Context, tx transaction) error {
		var id string
		err := tx.QueryRowContext(ctx, lockUser+"username = $1 RETURNING id", username).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoUser
		}
		if err != nil {
			return unavailable("remove second factors", err)
		}
		n, err = changed(ctx, tx, "remove second factors", "DELETE FROM second_factors WHERE user_id = $1", id)
		if err != nil {
			return err
		}
		if err := replaceCodes(ctx, tx, id, nil, now); err != nil {
			return err
		}
		if err := s.factorsRemoved(ctx, tx, id, now); err != nil {
			return err
		}
		if err := endAll(ctx, tx, id, "", now); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_second_factors_removed", username, now)
	})
	return n, err
}
