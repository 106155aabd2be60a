package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// LoginFailures returns the failures that are counted under the key.
func (s *Store) LoginFailures(ctx context.Context, key account.FailureKey) (account.LoginFailures, error) {
	rows, err := list(ctx, s.read, "read login failures", scanFailures,
		"SELECT address, count, since, last_at FROM login_failures WHERE account = $1 AND address IN ($2, '')",
		key.Account, key.Address)
	var f account.LoginFailures
	for _, row := range rows {
		if row.address == "" {
			f.OfAccount = row.Failures
		} else {
			f.AtAddress = row.Failures
		}
	}
	return f, err
}

// failuresRow is a row of login_failures. The address is empty in that of the whole account.
type failuresRow struct {
	address string
	account.Failures
}

func scanFailures(r row) (failuresRow, error) {
	var f failuresRow
	var since, last sql.NullInt64
	err := r.Scan(&f.address, &f.Count, &since, &last)
	f.Since, f.LastAt = timeOf(since), timeOf(last)
	return f, unavailable("read login failures", err)
}

// reserveTry counts one more failure in both rows of a key, but not in a row whose wait is
// not over. It is the rule of account.LoginFailures.Wait in SQL.
var reserveTry = strings.NewReplacer(
	"{{fresh}}", "(login_failures.since <= $4 OR login_failures.since > $5 OR login_failures.last_at > $5)",
	"{{pause}}", "CASE WHEN login_failures.address = '' THEN "+pauseSQL(account.AccountLimit)+
		" ELSE "+pauseSQL(account.AddressLimit)+" END",
).Replace(`INSERT INTO login_failures (account, address, count, since, last_at)
 VALUES ($1, $2, 1, $3, $3), ($1, '', 1, $3, $3)
 ON CONFLICT (account, address) DO UPDATE SET
 count = CASE WHEN {{fresh}} THEN 1 ELSE login_failures.count + 1 END,
 since = CASE WHEN {{fresh}} THEN excluded.since ELSE login_failures.since END,
 last_at = excluded.last_at
 WHERE {{fresh}} OR login_failures.last_at + {{pause}} <= $3`)

// pauseSQL returns an expression for the limit's pause in seconds after the count of a row.
func pauseSQL(limit account.Limit) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN login_failures.count < %d THEN 0", limit.Free)
	for count := limit.Free; limit.Pause(count) < limit.LongestWait; count++ {
		fmt.Fprintf(&b, " WHEN login_failures.count = %d THEN %d", count, limit.Pause(count)/time.Second)
	}
	fmt.Fprintf(&b, " ELSE %d END", limit.LongestWait/time.Second)
	return b.String()
}

// errThrottled rolls back a reservation of which one row must wait.
var errThrottled = errors.New("throttled")

// ReserveTry counts a failure under the key, unless account.LoginFailures.Wait says to wait.
// It reports whether it did. Calls at the same time, also of other processes, are counted one
// after the other, so that no more pass than the limits allow. It also deletes a few old rows
// of other keys.
func (s *Store) ReserveTry(ctx context.Context, key account.FailureKey, now time.Time) (bool, error) {
	forget := seconds(now.Add(-account.ForgetAfter))
	err := s.inTx(ctx, "count login", func(ctx context.Context, tx *sql.Tx) error {
		n, err := changed(ctx, tx, "count login", reserveTry, key.Account, key.Address,
			seconds(now), forget, seconds(now.Add(account.ClockMargin)))
		if err != nil {
			return err
		}
		if n < 2 {
			return errThrottled
		}
		_, err = changed(ctx, tx, "sweep login failures",
			"DELETE FROM login_failures WHERE (account, address) IN (SELECT account, address FROM login_failures "+
				"WHERE last_at < $1 ORDER BY last_at LIMIT $2 "+s.dialect.skipLocked+")", forget, sweepSize)
		return err
	})
	if errors.Is(err, errThrottled) {
		return false, nil
	}
	return err == nil, err
}

// GiveBackTries deletes the failures of an account at an address after a login there. The
// login itself is one of them. StartGrant and CreateSession do the same.
func (s *Store) GiveBackTries(ctx context.Context, key account.FailureKey) error {
	return s.inTx(ctx, "give back logins", func(ctx context.Context, tx *sql.Tx) error {
		return giveBackTries(ctx, tx, key)
	})
}

// giveBackTries does what GiveBackTries does. Like ReserveTry it locks the row of the address
// before that of the account.
func giveBackTries(ctx context.Context, tx *sql.Tx, key account.FailureKey) error {
	if key == (account.FailureKey{}) {
		return nil
	}
	var count int64
	err := tx.QueryRowContext(ctx,
		"DELETE FROM login_failures WHERE account = $1 AND address = $2 RETURNING count",
		key.Account, key.Address).Scan(&count)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return unavailable("give back logins", err)
	}
	n, err := changed(ctx, tx, "give back logins",
		"DELETE FROM login_failures WHERE account = $1 AND address = '' AND count <= $2", key.Account, count)
	if err != nil || n == 1 {
		return err
	}
	_, err = changed(ctx, tx, "give back logins",
		"UPDATE login_failures SET count = count - $2 WHERE account = $1 AND address = ''", key.Account, count)
	return err
}

// clearFailures deletes all failures of an account, in the order in which ReserveTry locks them.
func clearFailures(ctx context.Context, tx *sql.Tx, userID string) error {
	key := account.NewFailureKey(userID, "")
	for _, which := range []string{"address <> ''", "address = ''"} {
		_, err := changed(ctx, tx, "clear login failures",
			"DELETE FROM login_failures WHERE account = $1 AND "+which, key.Account)
		if err != nil {
			return err
		}
	}
	return nil
}
