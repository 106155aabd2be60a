package store

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// pseudonymOf returns the random id that stands for an email address in the audit log.
func pseudonymOf(ctx context.Context, tx transaction, email string, at time.Time) (id string, err error) {
	fresh, err := audit.NewID(at)
	if err != nil {
		return "", err
	}
	// DO UPDATE returns the row that is there.
	err = tx.QueryRowContext(ctx, "INSERT INTO audit_names (name, id) VALUES ($1, $2) "+
		"ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id", account.FoldEmail(email), fresh).Scan(&id)
	return id, unavailable("name email", err)
}

// forgetPseudonym deletes what the id of a user's verified email address stands for.
func forgetPseudonym(ctx context.Context, tx transaction, email string) error {
	_, err := changed(ctx, tx, "forget name", "DELETE FROM audit_names WHERE name = $1", account.FoldEmail(email))
	return err
}

// forgetOldAddress is forgetPseudonym for the address that a user no longer has.
func forgetOldAddress(ctx context.Context, tx transaction, was account.User, email string) error {
	if !was.EmailVerified || account.FoldEmail(was.Email) == account.FoldEmail(email) {
		return nil // an address that is not verified may be somebody else's
	}
	return forgetPseudonym(ctx, tx, was.Email)
}

// ForgetNames checks up to limit names, in order of their ids: those after the given id that were made before a time.
// It deletes the names whose records were dropped, and skips names that another transaction has locked. It returns the
// last id that it checked, or "" if there was none.
func (s *Store) ForgetNames(
	ctx context.Context,
	after string,
	before time.Time,
	limit int,
) (last string, err error) {
	err = s.inTx(ctx, "forget names", func(ctx context.Context, tx transaction) error {
		last = ""
		ids, err := database.ListTx(ctx, tx, "list names", func(r row) (id string, err error) {
			return id, unavailable("list names", r.Scan(&id))
		}, "SELECT id FROM audit_names WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3 "+s.dialect.skipLocked,
			after, audit.FirstID(before).String(), limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			last = id
			// Each in a statement of its own, which begins after the name was locked: it sees the record of an invitation
			// that has used the name until then.
			_, err := changed(ctx, tx, "forget name", "DELETE FROM audit_names WHERE id = $1 "+
				"AND NOT EXISTS (SELECT 1 FROM audit_records WHERE subject_id = $1)", id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return last, err
}
