package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// LoginFailures returns the failures that are counted under the key at a time.
func (s *Store) LoginFailures(
	ctx context.Context,
	key account.FailureKey,
	now time.Time,
) (account.LoginFailures, error) {
	rows, err := list(ctx, s.read, "read login failures", scanFailures,
		"SELECT address, count, since, last_at FROM login_failures WHERE account = $1 AND address IN ($2, '')",
		key.Account, key.CountedAt())
	f := account.LoginFailures{InBrowser: key.Browser != ""}
	for _, row := range rows {
		switch {
		case row.address != "":
			f.AtAddress = row.Failures
		case key.OfAccount():
			f.OfAccount = row.Failures
		}
	}
	if err != nil || key.Browser != "" || key.Network == "" {
		return f, err
	}
	if f.AtNetwork, err = s.failuresAt(ctx, "network", key.Network, now); err == nil {
		f.Nearby, err = s.failuresAt(ctx, "neighborhood", key.Neighborhood, now)
	}
	return f, err
}

// failuresAt returns the failures of all accounts at a network or in a neighborhood. There are few more rows than the
// limit allows failures, since no try is counted after that.
func (s *Store) failuresAt(
	ctx context.Context,
	column, digest string,
	now time.Time,
) (account.Failures, error) {
	var f account.Failures
	var since, last sql.NullInt64
	err := s.read.scanRow(ctx, "SELECT COALESCE(SUM(count), 0), MIN(since), MAX(last_at) FROM login_failures "+
		"WHERE "+column+" = $1 AND "+column+" <> '' AND last_at > $2 AND last_at <= $3",
		[]any{digest, seconds(now.Add(-account.ForgetAfter)), seconds(now.Add(account.ClockMargin))},
		&f.Count, &since, &last)
	f.Since, f.LastAt = timeOf(since), timeOf(last)
	return f, unavailable("count failures", err)
}

// clockMargin is account.ClockMargin in seconds, for SQL.
var clockMargin = strconv.FormatInt(int64(account.ClockMargin/time.Second), 10)

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

// These count one more failure in the rows of a key, but not in a row whose wait is not over: reserveTry at an address
// and for the account, reserveKnownTry at a known address, and reserveBrowserTry in a known browser. It is the rule of
// account.LoginFailures.Wait in SQL.
var (
	reserveTry = reserveSQL("($1, $2, 1, $3, $3, $6, $7), ($1, '', 1, $3, $3, '', '')",
		"CASE WHEN login_failures.address = '' THEN "+pauseSQL(account.AccountLimit)+
			" ELSE "+pauseSQL(account.AddressLimit)+" END")
	reserveKnownTry   = reserveSQL("($1, $2, 1, $3, $3, $6, $7)", pauseSQL(account.AddressLimit))
	reserveBrowserTry = reserveSQL("($1, $2, 1, $3, $3, '', '')", pauseSQL(account.KnownLimit))
)

// reserveSQL returns the statement that counts one more failure in rows, each of which has a pause after the last one.
func reserveSQL(rows, pause string) string {
	return strings.NewReplacer(
		"{{fresh}}", "(login_failures.last_at <= $4 OR login_failures.since > $5 OR login_failures.last_at > $5)",
		"{{rows}}", rows, "{{pause}}", pause,
	).Replace(`INSERT INTO login_failures (account, address, count, since, last_at, network, neighborhood)
 VALUES {{rows}}
 ON CONFLICT (account, address) DO UPDATE SET
 count = CASE WHEN {{fresh}} THEN 1 ELSE login_failures.count + 1 END,
 since = CASE WHEN {{fresh}} THEN excluded.since ELSE login_failures.since END,
 last_at = excluded.last_at,
 network = CASE WHEN excluded.network <> '' THEN excluded.network ELSE login_failures.network END,
 neighborhood = CASE WHEN excluded.network <> '' THEN excluded.neighborhood ELSE login_failures.neighborhood END
 WHERE {{fresh}} OR login_failures.last_at + {{pause}} <= $3`)
}

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

// ReserveTry counts a failure under the key, unless account.LoginFailures.Wait says to wait because of the account.
// It reports whether it did. Calls at the same time, also of other processes, are counted one
// after the other, so that no more pass than the limits allow. It also deletes a few old rows
// of other keys.
func (s *Store) ReserveTry(ctx context.Context, key account.FailureKey, now time.Time) (bool, error) {
	forget := seconds(now.Add(-account.ForgetAfter))
	err := s.inTx(ctx, "count login", func(ctx context.Context, tx transaction) error {
		statement, want, places := reserveTry, int64(2), []any{key.Network, key.Neighborhood}
		switch {
		case key.Browser != "":
			statement, want, places = reserveBrowserTry, 1, nil
		case key.AddressKnown:
			statement, want = reserveKnownTry, 1
		}
		args := []any{key.Account, key.CountedAt(), seconds(now), forget, seconds(now.Add(account.ClockMargin))}
		n, err := changed(ctx, tx, "count login", statement, append(args, places...)...)
		if err != nil {
			return err
		}
		if n < want {
			return errThrottled
		}
		return s.sweepSome(ctx, tx, expiringLoginFailures, now)
	})
	if errors.Is(err, errThrottled) {
		return false, nil
	}
	return err == nil, err
}

// KnowsAddress reports whether a user has logged in from the address of a key within account.KnownFor.
func (s *Store) KnowsAddress(
	ctx context.Context,
	userID string,
	key account.FailureKey,
	now time.Time,
) (known bool, err error) {
	err = s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM known_addresses "+
		"WHERE user_id = $1 AND address = $2 AND last_at > $3 AND last_at <= $4)",
		[]any{userID, key.KnownAs, seconds(now.Add(-account.KnownFor)), seconds(now.Add(account.ClockMargin))}, &known)
	return known, unavailable("read known address", err)
}

// finishLogin does what a successful login of a user changes besides what it is for: it gives the tries back, and
// records that the user has come from the address. It writes that once a day, and then deletes old addresses. The user
// is told of a login from a browser and an address that are both unknown, but for the first one.
func (s *Store) finishLogin(
	ctx context.Context,
	tx transaction,
	userID string,
	key account.FailureKey,
	now time.Time,
) error {
	if err := giveBackTries(ctx, tx, key); err != nil || key.KnownAs == "" {
		return err
	}
	n, err := changed(ctx, tx, "record address",
		"INSERT INTO known_addresses (user_id, address, last_at) VALUES ($1, $2, $3) "+
			"ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at "+
			"WHERE known_addresses.last_at < $4 OR known_addresses.last_at > $5",
		userID, key.KnownAs, seconds(now), seconds(now.Add(-24*time.Hour)), seconds(now.Add(account.ClockMargin)))
	if err != nil || n == 0 {
		return err
	}
	if err := s.tellOfNewDevice(ctx, tx, userID, key, now); err != nil {
		return err
	}
	_, err = changed(ctx, tx, "forget addresses", "DELETE FROM known_addresses WHERE user_id = $1 AND address NOT IN "+
		"(SELECT address FROM known_addresses WHERE user_id = $1 ORDER BY last_at DESC, address LIMIT $2)",
		userID, account.MaxKnownAddresses)
	if err != nil {
		return err
	}
	return s.sweepSome(ctx, tx, expiringKnownAddresses, now)
}

// tellOfNewDevice asks for a mail to a user who has logged in from elsewhere before, and now from a browser and an
// address that are both unknown. The address is recorded already.
func (s *Store) tellOfNewDevice(
	ctx context.Context,
	tx transaction,
	userID string,
	key account.FailureKey,
	now time.Time,
) error {
	if key.Browser != "" || key.AddressKnown {
		return nil
	}
	before := key.Returning
	if !before {
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM known_addresses WHERE user_id = $1 AND address <> $2)",
			userID, key.KnownAs).Scan(&before)
		if err != nil {
			return unavailable("look for addresses", err)
		}
	}
	if !before {
		return nil
	}
	return s.addMail(ctx, tx, mail.Request{Kind: mail.NewDevice, UserID: userID, CreatedAt: now})
}

// GiveBackTries deletes the failures of an account at a place after a login there. The
// login itself is one of them. StartGrant and StartSession do the same.
func (s *Store) GiveBackTries(ctx context.Context, key account.FailureKey) error {
	return s.inTx(ctx, "give back logins", func(ctx context.Context, tx transaction) error {
		return giveBackTries(ctx, tx, key)
	})
}

// giveBackTries does what GiveBackTries does. Like ReserveTry it locks the row of the place
// before that of the account.
func giveBackTries(ctx context.Context, tx transaction, key account.FailureKey) error {
	if key == (account.FailureKey{}) {
		return nil
	}
	var count int64
	err := tx.QueryRowContext(ctx,
		"DELETE FROM login_failures WHERE account = $1 AND address = $2 RETURNING count",
		key.Account, key.CountedAt()).Scan(&count)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !key.OfAccount() {
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

// GiveBackTry uncounts one try that ReserveTry has counted under the key. Unlike GiveBackTries it leaves
// the failures before it: use it where a success does not show who tries.
func (s *Store) GiveBackTry(ctx context.Context, key account.FailureKey) error {
	return s.inTx(ctx, "give back try", func(ctx context.Context, tx transaction) error {
		return giveBackTry(ctx, tx, key)
	})
}

// giveBackTry does what GiveBackTry does. The zero key names no try.
func giveBackTry(ctx context.Context, tx transaction, key account.FailureKey) error {
	if key == (account.FailureKey{}) {
		return nil
	}
	for _, address := range []string{key.CountedAt(), ""} { // in the order in which ReserveTry locks them
		_, err := changed(ctx, tx, "give back try",
			"UPDATE login_failures SET count = count - 1 WHERE account = $1 AND address = $2 AND count > 0",
			key.Account, address)
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetAttempts deletes the failures and the known addresses of a user who has a new password. Somebody else may have
// logged in with the previous one.
func forgetAttempts(ctx context.Context, tx transaction, userID string) error {
	if err := clearFailures(ctx, tx, userID); err != nil {
		return err
	}
	_, err := changed(ctx, tx, "forget addresses", "DELETE FROM known_addresses WHERE user_id = $1", userID)
	return err
}

// clearFailures deletes all failures of an account, in the order in which ReserveTry locks them.
func clearFailures(ctx context.Context, tx transaction, userID string) error {
	return clearCounted(ctx, tx, account.NewFailureKey(userID, "").Account)
}

// clearCounted deletes the failures that are counted under an account.
func clearCounted(ctx context.Context, tx transaction, counted string) error {
	for _, which := range []string{"address <> ''", "address = ''"} {
		_, err := changed(ctx, tx, "clear login failures",
			"DELETE FROM login_failures WHERE account = $1 AND "+which, counted)
		if err != nil {
			return err
		}
	}
	return nil
}
