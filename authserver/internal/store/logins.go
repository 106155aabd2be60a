package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// FailedLogins returns the failed logins of the key; the zero value if there are none.
func (s *Store) FailedLogins(ctx context.Context, key string) (account.Failures, error) {
	var f account.Failures
	var last sql.NullInt64
	err := s.read.scanRow(ctx,
		"SELECT count, last_at FROM failed_logins WHERE account = $1", []any{key}, &f.Count, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Failures{}, nil
	}
	f.LastAt = timeOf(last)
	return f, unavailable("read failed logins", err)
}

// RecordFailure counts one more failed login for the key. The count starts again at one if the
// last failure was before forgetBefore. It also deletes a few old rows of other keys.
func (s *Store) RecordFailure(ctx context.Context, key string, now, forgetBefore time.Time) error {
	_, err := s.write.exec(ctx, "record failed login",
		`INSERT INTO failed_logins (account, count, last_at) VALUES ($1, 1, $2)
		 ON CONFLICT (account) DO UPDATE SET last_at = $2,
		 count = CASE WHEN failed_logins.last_at < $3 THEN 1 ELSE failed_logins.count + 1 END`,
		key, seconds(now), seconds(forgetBefore))
	if err != nil {
		return err
	}
	_, err = s.write.exec(ctx, "sweep failed logins",
		"DELETE FROM failed_logins WHERE account IN "+
			"(SELECT account FROM failed_logins WHERE last_at < $1 ORDER BY last_at LIMIT $2 "+s.dialect.skipLocked+")",
		seconds(forgetBefore), sweepSize)
	return err
}

const clearFailures = "DELETE FROM failed_logins WHERE account = $1"

// ClearFailures deletes the failed logins of the key.
func (s *Store) ClearFailures(ctx context.Context, key string) error {
	_, err := s.write.exec(ctx, "clear failed logins", clearFailures, key)
	return err
}
