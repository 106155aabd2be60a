package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// revokeWhere begins the statement that revokes grants: when, and until when their rows are
// kept, are its first two arguments, and which grants is the rest of its text.
const revokeWhere = "UPDATE grants SET revoked_at = $1, expires_at = $2 WHERE revoked_at IS NULL AND "

// revokedUntil is until when the row of a grant is kept that is revoked now, so that its
// bit stays set: its last access token has expired by then, whatever lifetime the server
// was set to that signed it.
func revokedUntil(now time.Time) sql.NullInt64 { return seconds(now.Add(grant.MaxTokenLifetime)) }

// revokeGrants revokes the active grants for which the condition holds, whose arguments
// begin with $3, and returns how many they were.
func revokeGrants(ctx context.Context, tx *sql.Tx, now time.Time, condition string, args ...any) (int64, error) {
	return changed(ctx, tx, "revoke grants", revokeWhere+condition, append([]any{seconds(now), revokedUntil(now)}, args...)...)
}

// RevokeGrant marks a grant as revoked, and reports whether it was not before.
func (s *Store) RevokeGrant(ctx context.Context, number int64, now time.Time) (bool, error) {
	n, err := s.write.exec(ctx, "revoke grant", revokeWhere+"number = $3", seconds(now), revokedUntil(now), number)
	return n == 1, err
}

// RevokedAfter returns the numbers of grants that were revoked, of those that are kept, in
// the order of when they were and then of their numbers: the first ones that come after
// this second and number, limit at the most, and when the last of them was revoked. From
// there on the next ones are to be had. It reads an index from the right place on, however
// many were revoked before, or in the same second.
func (s *Store) RevokedAfter(ctx context.Context, at time.Time, number int64, limit int) (numbers []int64, last time.Time, err error) {
	var second sql.NullInt64
	numbers, err = list(ctx, s.read, "list revoked grants", func(r row) (number int64, err error) {
		return number, unavailable("list revoked grants", r.Scan(&number, &second))
	}, s.dialect.revokedAfter+" ORDER BY revoked_at, number LIMIT $3", at.Unix(), number, limit)
	return numbers, timeOf(second), err
}

// LastGrant returns the highest number that a grant has; zero if there is none.
func (s *Store) LastGrant(ctx context.Context) (number int64, err error) {
	err = s.read.scanRow(ctx, "SELECT COALESCE(MAX(number), 0) FROM grants", nil, &number)
	return number, unavailable("find last grant", err)
}
