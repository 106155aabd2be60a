package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// UserFailures is how often logins of a user have failed.
type UserFailures struct {
	// Kind is what failed: see account.FailureAccounts.
	Kind string
	// Count is how many tries failed in all, from Since until LastAt.
	Count         int64
	Since, LastAt time.Time
}

// FailuresOf returns the failures of a user that are counted at now, by kind. Kinds without failures are left out.
func (s *Store) FailuresOf(ctx context.Context, userID string, now time.Time) (all []UserFailures, err error) {
	for _, counted := range account.FailureAccounts(userID) {
		f := UserFailures{Kind: counted.Kind}
		var since, last sql.NullInt64
		err := s.read.scanRow(ctx, "SELECT COALESCE(SUM(count), 0), MIN(since), MAX(last_at) FROM login_failures "+
			"WHERE account = $1 AND address <> '' AND last_at > $2",
			[]any{counted.Account, seconds(now.Add(-account.ForgetAfter))}, &f.Count, &since, &last)
		if err != nil {
			return nil, unavailable("read failures", err)
		}
		if f.Since, f.LastAt = timeOf(since), timeOf(last); f.Count > 0 {
			all = append(all, f)
		}
	}
	return all, nil
}

// Unlock forgets the failures of a user, who can try again at once. It returns record.ErrNotFound if there is no such
// user.
func (s *Store) Unlock(ctx context.Context, username string, now time.Time) error {
	user, err := s.UserByUsername(ctx, username)
	if err != nil {
		return err
	}
	return s.inTx(ctx, "unlock user", func(ctx context.Context, tx transaction) error {
		if err := clearAllFailures(ctx, tx, user.ID); err != nil {
			return err
		}
		return auditAdmin(ctx, tx, "user_unlocked", username, now)
	})
}

// clearAllFailures deletes the failures of a user of all kinds.
func clearAllFailures(ctx context.Context, tx transaction, userID string) error {
	for _, counted := range account.FailureAccounts(userID) {
		if err := clearCounted(ctx, tx, counted.Account); err != nil {
			return err
		}
	}
	return nil
}
