package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// deviceMemory is how long a device code is kept after it has expired, so that a late poll is told so.
const deviceMemory = 10 * time.Minute

// pollMargin is how much too early a poll may be: times are stored in whole seconds.
const pollMargin = time.Second

var errUserCodeExists = fmt.Errorf("user code %w", record.ErrExists)

// CreateDevice stores a device code with its user code and deletes a few old ones. It returns
// record.ErrExists if the user code is in use, record.ErrNotFound if the API is not registered,
// grant.ErrClientChanged if the client is deleted, and grant.ErrTooManyDevices if a limit of package grant is
// reached. Concurrent calls may exceed a limit by their number.
func (s *Store) CreateDevice(ctx context.Context, d grant.DeviceCode) error {
	return s.inTx(ctx, "create device code", func(ctx context.Context, tx transaction) error {
		audience := s.storedAudience(d.Audience)
		if err := s.lockAPI(ctx, tx, audience); err != nil {
			return err
		}
		if err := s.keepClient(ctx, tx, d.ClientID); err != nil {
			return err
		}
		if err := deviceLimit.check(ctx, tx, d.ClientID, d.Network, d.CreatedAt); err != nil {
			return err
		}
		err := changedOne(ctx, tx, "create device code", errUserCodeExists,
			"INSERT INTO device_codes (digest, user_code, client_id, audience, scope, network, "+
				"created_at, expires_at, poll_pause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
			d.Digest,
			d.UserCode,
			d.ClientID,
			audience,
			d.Scope.String(),
			d.Network,
			seconds(d.CreatedAt),
			seconds(d.ExpiresAt),
			int64(grant.DeviceInterval/time.Second),
		)
		if err != nil {
			return err
		}
		return s.sweepSome(ctx, tx, expiringDeviceCodes, d.CreatedAt)
	})
}

// keepClient locks a client against deletion until the transaction ends. It returns grant.ErrClientChanged if
// the client is deleted. Its secret does not matter here: each poll is authenticated again.
func (s *Store) keepClient(ctx context.Context, tx transaction, id string) error {
	err := tx.QueryRowContext(ctx, "SELECT id FROM clients WHERE id = $1 "+s.dialect.keyShare, id).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.ErrClientChanged
	}
	return unavailable("lock client", err)
}

const deviceColumns = "digest, user_code, client_id, audience, scope, network, created_at, expires_at, " +
	"grant_number, redeemed_at"

// DeviceByDigest returns the device code with this digest, also one that was denied or redeemed or has expired. It
// returns grant.ErrCodeUnknown if there is no such code.
func (s *Store) DeviceByDigest(ctx context.Context, digest string) (grant.DeviceCode, error) {
	return one(ctx, s.read, s.scanDevice, "SELECT "+deviceColumns+" FROM device_codes WHERE digest = $1", digest)
}

// DeviceByUserCode returns the device code that waits for its user under the digest of a user code. It
// returns grant.ErrCodeUnknown if no code waits, or it has expired.
func (s *Store) DeviceByUserCode(ctx context.Context, digest string, now time.Time) (grant.DeviceCode, error) {
	return one(ctx, s.read, s.scanDevice,
		"SELECT "+deviceColumns+" FROM device_codes WHERE user_code = $1 AND expires_at > $2 AND created_at <= $3",
		digest, seconds(now), seconds(now.Add(account.ClockMargin)))
}

func (s *Store) scanDevice(r row) (grant.DeviceCode, error) {
	var d grant.DeviceCode
	var userCode sql.NullString
	var scope string
	var created, expires, number, redeemed sql.NullInt64
	err := r.Scan(&d.Digest, &userCode, &d.ClientID, &d.Audience, &scope, &d.Network, &created, &expires,
		&number, &redeemed)
	if errors.Is(err, sql.ErrNoRows) {
		return grant.DeviceCode{}, grant.ErrCodeUnknown
	}
	d.UserCode, d.Audience, d.Scope = userCode.String, s.audience(d.Audience), words(scope)
	d.CreatedAt, d.ExpiresAt = timeOf(created), timeOf(expires)
	d.Grant, d.Redeemed = number.Int64, redeemed.Valid
	return d, unavailable("read device code", err)
}

// ApproveDevice starts the grant of the device code that waits under the digest of a user code, and ends
// the user code. It returns grant.ErrCodeUnknown if no code of the grant's client waits,
// grant.ErrInactive if the session has ended, or the user is disabled or deleted, and grant.ErrClientChanged
// as lockClient does. The grant's CreatedAt is the time of the approval.
//
// It locks the user first, as everything that ends sessions and revokes a user's grants does: either that
// finds the grant, or the session has ended. Then it locks the client, like RedeemDevice.
func (s *Store) ApproveDevice(ctx context.Context, userCode, session string, g grant.Grant) error {
	return s.inTx(ctx, "approve device", func(ctx context.Context, tx transaction) error {
		if err := lockForLogin(ctx, tx, g); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, "SELECT digest FROM sessions WHERE digest = $1 AND user_id = $2 AND expires_at > $3",
			session, g.UserID, seconds(g.CreatedAt)).Scan(&session)
		if errors.Is(err, sql.ErrNoRows) {
			return grant.ErrInactive
		}
		if err != nil {
			return unavailable("approve device", err)
		}
		if err := s.lockClient(ctx, tx, g); err != nil {
			return err
		}
		digest, err := decideDevice(ctx, tx, userCode, g.ClientID, g.CreatedAt)
		if err != nil {
			return err
		}
		number, err := s.insertGrant(ctx, tx, g)
		if err != nil {
			return err
		}
		_, err = changed(ctx, tx, "record grant of device",
			"UPDATE device_codes SET grant_number = $2 WHERE digest = $1", digest, number)
		if err != nil {
			return err
		}
		return auditUserAtClient(ctx, tx, "device_approved", g.UserID, g.ClientID, g.CreatedAt)
	})
}

// DenyDevice ends the user code with this digest for a user who denies it: the device gets no tokens. It returns
// grant.ErrCodeUnknown if no code of the client waits under it. Of an approval and a denial at the same time, one
// succeeds.
func (s *Store) DenyDevice(ctx context.Context, userCode, userID, clientID string, now time.Time) error {
	return s.inTx(ctx, "deny device", func(ctx context.Context, tx transaction) error {
		if _, err := decideDevice(ctx, tx, userCode, clientID, now); err != nil {
			return err
		}
		return auditUserAtClient(ctx, tx, "device_denied", userID, clientID, now)
	})
}

// decideDevice ends a user code and returns the digest of its device code.
func decideDevice(
	ctx context.Context,
	tx transaction,
	userCode, clientID string,
	now time.Time,
) (digest string, err error) {
	err = tx.QueryRowContext(ctx,
		"UPDATE device_codes SET user_code = NULL WHERE user_code = $1 AND client_id = $2 AND expires_at > $3 "+
			"RETURNING digest", userCode, clientID, seconds(now)).Scan(&digest)
	if errors.Is(err, sql.ErrNoRows) {
		return "", grant.ErrCodeUnknown
	}
	return digest, unavailable("decide device", err)
}

// PollDevice records a poll with a device code and reports whether it came in time. If not, the device
// must wait grant.DeviceInterval longer from then on. All servers of a database see the same polls.
func (s *Store) PollDevice(ctx context.Context, digest string, now time.Time) (inTime bool, err error) {
	// A poll that seems to lie ahead was recorded by a server whose clock was wrong.
	n, err := s.exec(ctx, "record poll",
		"UPDATE device_codes SET polled_at = $2 WHERE digest = $1 "+
			"AND (polled_at IS NULL OR polled_at + poll_pause <= $3 OR polled_at > $4)",
		digest, seconds(now), seconds(now.Add(pollMargin)), seconds(now.Add(account.ClockMargin)))
	if err != nil || n == 1 {
		return n == 1, err
	}
	_, err = s.exec(ctx, "slow device down",
		"UPDATE device_codes SET polled_at = $2, poll_pause = poll_pause + $3 WHERE digest = $1",
		digest, seconds(now), int64(grant.DeviceInterval/time.Second))
	return false, err
}

// RedeemDevice marks an approved device code as used, gives its grant the refresh token, the key, the
// place and the expiry of g, and returns the grant's number. For a code that is already used it
// returns grant.ErrCodeUsed with the number, or grant.ErrCodeUndecided while that is not confirmed.
// It returns grant.ErrCodeUnknown if the code is unknown, expired or not approved, or was issued to
// another client, grant.ErrInactive if the grant has been revoked, and grant.ErrClientChanged as lockClient does.
//
// It locks the client before the code: see RedeemCode.
func (s *Store) RedeemDevice(ctx context.Context, digest string, g grant.Grant) (number int64, err error) {
	var used error // returned after the commit
	err = s.inTx(ctx, "redeem device code", func(ctx context.Context, tx transaction) error {
		used = nil
		if err := s.lockClient(ctx, tx, g); err != nil {
			return err
		}
		err := redeem(func() error {
			return tx.QueryRowContext(ctx,
				"UPDATE device_codes SET redeemed_at = $2, attempt = $5 WHERE digest = $1 AND client_id = $3 "+
					"AND redeemed_at IS NULL AND grant_number IS NOT NULL AND expires_at > $2 AND created_at <= $4 "+
					"RETURNING grant_number", digest, seconds(g.CreatedAt), g.ClientID,
				seconds(g.CreatedAt.Add(account.ClockMargin)), g.Attempt).Scan(&number)
		}, func() (err error) {
			number, err = s.usedDevice(ctx, tx, digest, g)
			return err
		})
		if used, err = settle(ctx, tx, "device_codes", digest, err); used != nil || err != nil {
			return err
		}
		return changedOne(ctx, tx, "give grant of device", grant.ErrInactive,
			"UPDATE grants SET expires_at = $2, refresh_family = $3, refresh_digest = $4, refresh_ends_at = $5, "+
				"refresh_expires_at = $6, jkt = $8, address = $9, agent = $10 "+
				"WHERE number = $1 AND revoked_at IS NULL AND expires_at > $7",
			number, seconds(g.ExpiresAt), g.Refresh.Family, g.Refresh.Current, seconds(g.Refresh.EndsAt),
			seconds(g.Refresh.ExpiresAt), seconds(g.CreatedAt), g.KeyThumbprint, g.Place.Address, g.Place.Agent)
	})
	return number, cmp.Or(err, used)
}

// usedDevice locks a device code, and returns why it could not be redeemed: grant.ErrCodeUsed and the number of its
// grant, grant.ErrCodeUndecided, errNotRedeemed, or grant.ErrCodeUnknown.
func (s *Store) usedDevice(
	ctx context.Context,
	tx transaction,
	digest string,
	g grant.Grant,
) (number int64, err error) {
	var given, redeemed sql.NullInt64
	var attempt string
	err = tx.QueryRowContext(ctx, "SELECT grant_number, redeemed_at, attempt FROM device_codes "+
		"WHERE digest = $1 AND client_id = $2 "+s.dialect.forUpdate, digest, g.ClientID).
		Scan(&given, &redeemed, &attempt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, grant.ErrCodeUnknown
	case err != nil:
		return 0, unavailable("read device code", err)
	case !redeemed.Valid:
		return 0, errNotRedeemed
	}
	return given.Int64, undecided(attempt, redeemed, g.CreatedAt)
}
