package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// A redemption is written in two steps, so that a client whose request got 503 can use its code again, and nobody else
// can. RedeemCode and RedeemDevice store the name of the attempt with the code. When the server knows that they were
// committed, it confirms the attempt, and then responds. If it does not know, it takes the attempt back. In between,
// other requests with the code get grant.ErrCodeUndecided.

// confirmLimit is how long an attempt may be undecided. After that the server that made it has probably ended, and
// the code counts as used.
const confirmLimit = 30 * time.Second

// undecided returns grant.ErrCodeUndecided for a recent attempt that is not confirmed yet, otherwise grant.ErrCodeUsed.
func undecided(attempt string, redeemed sql.NullInt64, now time.Time) error {
	if attempt != "" && now.Before(timeOf(redeemed).Add(confirmLimit)) {
		return grant.ErrCodeUndecided
	}
	return grant.ErrCodeUsed
}

// errNotRedeemed says of a code that nobody has redeemed it.
var errNotRedeemed = errors.New("not redeemed")

// redeem marks a code as used. If mark returns sql.ErrNoRows, it returns the reason, and why has locked the code.
//
// If the code is not redeemed, an attempt may have been taken back between the two. So redeem marks it once more: the
// code is locked now. If that fails, too, the code has expired, or its session has ended.
func redeem(mark, why func() error) error {
	err := mark()
	if errors.Is(err, sql.ErrNoRows) {
		if err = why(); !errors.Is(err, errNotRedeemed) {
			return err
		}
		err = mark()
	}
	if errors.Is(err, sql.ErrNoRows) {
		return grant.ErrCodeUnknown
	}
	return unavailable("redeem code", err)
}

// settle ends the attempt of a code that was used a second time, for the reason why not: taking it back, which may come
// late, would make the code usable again (RFC 6749 section 4.1.2). If there was one, the transaction must commit before
// why is returned: why is then the first result, and else the second one.
func settle(ctx context.Context, tx transaction, table, digest string, why error) (afterCommit, err error) {
	if !errors.Is(why, grant.ErrCodeUsed) {
		return nil, why
	}
	n, err := changed(ctx, tx, "settle code",
		"UPDATE "+table+" SET attempt = '' WHERE digest = $1 AND attempt <> ''", digest)
	if err != nil || n == 0 {
		return nil, cmp.Or(err, why)
	}
	return why, nil
}

// ConfirmCode makes the redemption of an authorization code final. It may be repeated.
func (s *Store) ConfirmCode(ctx context.Context, digest, attempt string) error {
	_, err := s.exec(ctx, "confirm code",
		"UPDATE codes SET attempt = '' WHERE digest = $1 AND attempt = $2", digest, attempt)
	return err
}

// ConfirmDevice makes the redemption of a device code final. It may be repeated.
func (s *Store) ConfirmDevice(ctx context.Context, digest, attempt string) error {
	_, err := s.exec(ctx, "confirm device code",
		"UPDATE device_codes SET attempt = '' WHERE digest = $1 AND attempt = $2", digest, attempt)
	return err
}

// TakeBackCode makes an authorization code unused again that was redeemed by this attempt, and revokes its grant. It
// changes nothing if the attempt was not committed. It may be repeated.
func (s *Store) TakeBackCode(ctx context.Context, digest, attempt string, now time.Time) error {
	return s.inTx(ctx, "take back code", func(ctx context.Context, tx transaction) error {
		if is, err := s.lockAttempt(ctx, tx, "codes", digest, attempt); err != nil || !is {
			return err
		}
		_, err := revokeGrants(ctx, tx, now, "number = (SELECT grant_number FROM codes WHERE digest = $3)", digest)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "take back code",
			"UPDATE codes SET redeemed_at = NULL, grant_number = NULL, attempt = '' WHERE digest = $1", digest)
		return err
	})
}

// TakeBackDevice makes a device code unused again that was redeemed by this attempt. Its grant stays, and gets other
// tokens when the code is redeemed again. It changes nothing if the attempt was not committed. It may be repeated.
func (s *Store) TakeBackDevice(ctx context.Context, digest, attempt string) error {
	return s.inTx(ctx, "take back device code", func(ctx context.Context, tx transaction) error {
		if is, err := s.lockAttempt(ctx, tx, "device_codes", digest, attempt); err != nil || !is {
			return err
		}
		_, err := changed(ctx, tx, "take back device code",
			"UPDATE device_codes SET redeemed_at = NULL, attempt = '' WHERE digest = $1", digest)
		return err
	})
}

// lockAttempt locks a code of a table and reports whether its attempt is the given one. It locks the code whatever its
// attempt is: a transaction whose outcome is not known holds this lock until it ends.
func (s *Store) lockAttempt(ctx context.Context, tx transaction, table, digest, attempt string) (is bool, err error) {
	var found string
	err = tx.QueryRowContext(ctx,
		"SELECT attempt FROM "+table+" WHERE digest = $1 "+s.dialect.forUpdate, digest).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return found == attempt, unavailable("lock attempt", err)
}
