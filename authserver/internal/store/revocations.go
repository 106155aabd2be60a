package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// revokeWhere begins a statement that revokes grants. Its first two arguments are the time of the
// revocation and revokedUntil. A condition must follow.
const revokeWhere = "UPDATE grants SET revoked_at = $1, expires_at = $2 WHERE revoked_at IS NULL AND "

// revokedUntil returns until when a grant that is revoked now is kept, for its bit in the status
// list. Its last access token has expired by then, whatever the server's token lifetime.
func revokedUntil(now time.Time) sql.NullInt64 { return seconds(now.Add(grant.MaxTokenLifetime)) }

// revokeGrants revokes the active grants that meet the condition, whose arguments start at $3, and the exchanges
// that came from them. It returns how many met the condition.
func revokeGrants(ctx context.Context, tx transaction, now time.Time, condition string, args ...any) (int64, error) {
	args = append([]any{seconds(now), revokedUntil(now)}, args...)
	n, err := changed(ctx, tx, "revoke grants", revokeWhere+condition, args...)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, revokeExchanges(ctx, tx, now)
}

// revokeExchanges revokes the exchanges that came from grants that are revoked at now, then those that came from
// these exchanges, and so on.
func revokeExchanges(ctx context.Context, tx transaction, now time.Time) error {
	for {
		n, err := changed(ctx, tx, "revoke exchanges",
			revokeWhere+"parent IN (SELECT number FROM grants WHERE revoked_at = $1)", seconds(now), revokedUntil(now))
		if err != nil || n == 0 {
			return err
		}
	}
}

// RevokeGrant revokes a grant with the exchanges that came from it, and reports whether it was active.
func (s *Store) RevokeGrant(ctx context.Context, number int64, now time.Time) (active bool, err error) {
	err = s.inTx(ctx, "revoke grant", func(ctx context.Context, tx transaction) error {
		n, err := revokeGrants(ctx, tx, now, "number = $3", number)
		active = n == 1
		return err
	})
	return active, err
}

// RevokedAfter returns the numbers of up to limit revoked grants, sorted by the second of their
// revocation and then by number, starting after the given second and number. last is when the last
// of them was revoked: pass it and the last number to get the next page. RevokedAfter reads only
// the returned entries of an index. With a replica, it may miss what was revoked in the last ReplicaAge.
func (s *Store) RevokedAfter(
	ctx context.Context,
	at time.Time,
	number int64,
	limit int,
) (numbers []int64, last time.Time, err error) {
	var second sql.NullInt64
	numbers, err = recent(s, func(p pool) ([]int64, error) {
		second = sql.NullInt64{}
		return list(ctx, p, "list revoked grants", func(r row) (number int64, err error) {
			return number, unavailable("list revoked grants", r.Scan(&number, &second))
		}, s.dialect.revokedAfter+" ORDER BY revoked_at, number LIMIT $3", at.Unix(), number, limit)
	})
	return numbers, timeOf(second), err
}

// LastGrant returns the highest grant number; 0 if there are no grants.
func (s *Store) LastGrant(ctx context.Context) (number int64, err error) {
	err = s.read.scanRow(ctx, "SELECT COALESCE(MAX(number), 0) FROM grants", nil, &number)
	return number, unavailable("find last grant", err)
}
