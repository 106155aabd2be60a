package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
)

// CountRecoveryCodes returns how many recovery codes a user has left.
func (s *Store) CountRecoveryCodes(ctx context.Context, userID string) (n int, err error) {
	err = s.read.scanRow(ctx, "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1", []any{userID}, &n)
	return n, unavailable("count recovery codes", err)
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
		if err := auditUser(ctx, tx, "recovery_codes_replaced", user.ID, now); err != nil {
			return err
		}
		return s.addMail(ctx, tx, mail.Request{Kind: mail.RecoveryCodesReplaced, UserID: user.ID, CreatedAt: now})
	})
}

// replaceCodes replaces the recovery codes of a user, who is locked.
func replaceCodes(ctx context.Context, tx transaction, userID string, digests []string, now time.Time) error {
	_, err := changed(ctx, tx, "delete recovery codes", "DELETE FROM recovery_codes WHERE user_id = $1", userID)
	if err != nil {
		return err
	}
	for _, digest := range digests {
		_, err := changed(ctx, tx, "add recovery code",
			"INSERT INTO recovery_codes (user_id, digest, created_at) VALUES ($1, $2, $3)", userID, digest, seconds(now))
		if err != nil {
			return err
		}
	}
	return nil
}

// useRecoveryCode deletes a recovery code and queues an email to the user. It returns secondfactor.ErrIncorrect if the
// user has no such code.
func (s *Store) useRecoveryCode(ctx context.Context, tx transaction, userID, digest string, now time.Time) error {
	err := changedOne(ctx, tx, "use recovery code", secondfactor.ErrIncorrect,
		"DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2", userID, digest)
	if err != nil {
		return err
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.RecoveryCodeUsed, UserID: userID, CreatedAt: now})
}
