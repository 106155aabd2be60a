package store

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// expiring is a table whose rows end. Each insert deletes a few that have ended, and Sweep deletes all of them.
type expiring struct {
	table string
	key   string        // the columns of its primary key
	end   string        // the column with the time when a row ends; it has an index
	kept  time.Duration // how long a row is kept after that
}

var (
	expiringCodes          = expiring{"codes", "digest", "expires_at", codeMemory}
	expiringDeviceCodes    = expiring{"device_codes", "digest", "expires_at", deviceMemory}
	expiringGrants         = expiring{"grants", "number", "expires_at", sweepMargin}
	expiringInvitations    = expiring{"invitations", "address", "expires_at", 0}
	expiringKnownAddresses = expiring{"known_addresses", "user_id, address", "last_at", account.KnownFor}
	expiringLinks          = expiring{"links", "digest", "expires_at", 0}
	expiringLocks          = expiring{"locks", "digest", "locked_at", lockLifetime}
	expiringLoginFailures  = expiring{"login_failures", "account, address", "last_at", account.ForgetAfter}
	expiringMailRequests   = expiring{"mail_requests", "id", "created_at", mail.LimitPeriod}
	expiringPendingLogins  = expiring{"pending_logins", "digest", "expires_at", 0}
	expiringPushedRequests = expiring{"pushed_requests", "digest", "expires_at", 0}
	expiringSessions       = expiring{"sessions", "digest", "expires_at", 0}
	expiringSignUps        = expiring{"sign_ups", "digest", "expires_at", 0}
	expiringUsedAssertions = expiring{"used_assertions", "digest", "expires_at", 0}
)

// sweptWhole are the tables that Sweep empties of what has ended. Grants are not among them: new ones delete old ones
// fast enough, and they hold no addresses for long (see ForgetPlaces).
var sweptWhole = []expiring{
	expiringCodes, expiringDeviceCodes, expiringInvitations, expiringKnownAddresses, expiringLinks, expiringLocks,
	expiringLoginFailures, expiringMailRequests, expiringPendingLogins, expiringPushedRequests, expiringSessions,
	expiringSignUps, expiringUsedAssertions,
}

// sweepAtOnce is how many rows Sweep deletes with one statement.
const sweepAtOnce = 1000

// Sweep deletes all rows that have ended, so that what is in them, such as email addresses, is not kept until somebody
// needs the table again. A table that fails does not keep it from the others. An error wraps ErrUnavailable.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	var failed []error
	for _, e := range sweptWhole {
		var err error
		for n := int64(sweepAtOnce); n == sweepAtOnce && err == nil; {
			n, err = s.sweep(ctx, e.table, s.deleteEnded(e), e.before(now), sweepAtOnce)
		}
		if ctx.Err() != nil {
			return err
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// deleteEnded returns the statement that deletes up to $2 rows that ended before $1, the oldest first.
func (s *Store) deleteEnded(e expiring) string {
	return "WITH ended AS MATERIALIZED (SELECT " + e.key + " FROM " + e.table + " WHERE " + e.end + " < $1 " +
		"ORDER BY " + e.end + " LIMIT $2 " + s.dialect.skipLocked + ") " +
		"DELETE FROM " + e.table + " WHERE (" + e.key + ") IN (SELECT " + e.key + " FROM ended)"
}

// before returns when rows must have ended that are deleted now.
func (e expiring) before(now time.Time) any { return seconds(now.Add(-e.kept)) }

// sweepSome deletes a few rows that have ended, in a transaction that adds one.
func (s *Store) sweepSome(ctx context.Context, tx transaction, e expiring, now time.Time) error {
	_, err := sweep(ctx, tx, e.table, s.deleteEnded(e), e.before(now), sweepSize)
	return err
}

// sweepAfter deletes a few rows that have ended, after a transaction has added one. An error is left to the next one.
func (s *Store) sweepAfter(ctx context.Context, e expiring, now time.Time) {
	_, _ = s.sweep(ctx, e.table, s.deleteEnded(e), e.before(now), sweepSize)
}
