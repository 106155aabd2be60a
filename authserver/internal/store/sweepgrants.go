package store

import (
	"context"
	"database/sql"
	"math"
	"sync"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// sweepSize is the number of expired rows that each insert deletes. It is more than one, so that
// a table shrinks when logins become fewer, and small, so that it does not slow them down.
const sweepSize = 4

// sweepMargin is how much longer a grant is kept than its last token is valid, for the clock
// skew that verifiers allow.
const sweepMargin = time.Minute

// The search for idle grants: one new grant in searchEvery looks at the next searchSize grants. So each new grant looks
// at 16 on average, and at most about a 16th of a table that no longer grows is idle grants that were not found yet.
const (
	searchEvery = 8
	searchSize  = 128
)

// sweepGrants deletes a few expired grants after one with this number was added. Most are found by expires_at, which
// has an index. The exception is idle grants, whose refresh token has expired unused. That time moves with every
// refresh, and an index of it would have to be written every time. They are found by going through the numbers.
func (s *Store) sweepGrants(ctx context.Context, tx transaction, number int64, now time.Time) error {
	if err := s.sweepSome(ctx, tx, expiringGrants, now); err != nil || !s.search.due(number) {
		return err
	}
	return s.sweepIdleGrants(ctx, tx, now)
}

// isIdle is the condition for a grant whose refresh token expired before $1, and its last access token with it. If the
// client must be told the end of the session, the session has ended.
const isIdle = "refresh_expires_at < $1 " +
	"AND NOT (sid <> '' AND EXISTS (SELECT 1 FROM sessions WHERE sessions.digest = grants.session))"

// sweepIdleGrants looks at the next grants and deletes the idle ones.
func (s *Store) sweepIdleGrants(ctx context.Context, tx transaction, now time.Time) error {
	idle := seconds(now.Add(-grant.MaxTokenLifetime - sweepMargin))
	first := s.search.position()
	var seen int64
	var last, expired sql.NullInt64
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*), MAX(number), "+
		"SUM(CASE WHEN refresh_expires_at < $1 THEN 1 ELSE 0 END) "+
		"FROM (SELECT number, refresh_expires_at FROM grants WHERE number > $2 ORDER BY number LIMIT $3) AS seen",
		idle, first, searchSize).Scan(&seen, &last, &expired)
	if err != nil {
		return unavailable("search idle grants", err)
	}
	if expired.Int64 > 0 {
		_, err = sweep(ctx, tx, "grants", "DELETE FROM grants WHERE number IN (SELECT number FROM grants "+
			"WHERE number > $2 AND number <= $3 AND "+isIdle+" ORDER BY number "+s.dialect.skipLocked+")",
			idle, first, last)
	}
	if err == nil {
		s.search.moveTo(last.Int64, seen == searchSize)
	}
	return err
}

// search is how far a Store has got in its search for idle grants. It is safe for concurrent use.
type search struct {
	mu    sync.Mutex
	added uint64 // how many grants this Store has added
	after int64  // the number of the last grant that it has looked at
}

// due counts a new grant and reports whether the search goes on with it. The search begins at a number that depends on
// that of the first new grant: if it began at 0, servers that restart often would never reach the end.
func (s *search) due(number int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.added == 0 {
		_, part := math.Modf(float64(number) * math.Phi)
		s.after = int64(part * float64(number))
	}
	s.added++
	return s.added%searchEvery == 0
}

// position returns the number after which to look.
func (s *search) position() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.after
}

// moveTo sets the number of the last grant that was looked at. The search starts over unless there are more.
func (s *search) moveTo(number int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after = number; !more {
		s.after = 0
	}
}
