package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"
)

// AdminEvent is a change that an administrator made, by a command, in the console or through the admin API. A command
// has no log that is kept, so the servers of the database log it.
type AdminEvent struct {
	// Event says what was done, such as user_disabled.
	Event string
	// Subject is the username or the client id.
	Subject string
	// At is when it was done, or zero if that was not recorded.
	At time.Time

	id int64
}

// TakeAdminEvents deletes up to limit events and returns them, oldest first. Each event is
// returned once, whichever server asks first.
func (s *Store) TakeAdminEvents(ctx context.Context, limit int) ([]AdminEvent, error) {
	var some bool
	err := s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM admin_events)", nil, &some)
	if err != nil || !some {
		return nil, unavailable("take events", err)
	}
	events, err := list(ctx, s.write, "take events", func(r row) (AdminEvent, error) {
		var e AdminEvent
		var at sql.NullInt64
		err := r.Scan(&e.id, &e.Event, &e.Subject, &at)
		e.At = timeOf(at)
		return e, unavailable("take events", err)
	}, "WITH oldest AS MATERIALIZED (SELECT id FROM admin_events ORDER BY id LIMIT $1 "+s.dialect.skipLocked+") "+
		"DELETE FROM admin_events WHERE id IN (SELECT id FROM oldest) RETURNING id, event, subject, at", limit)
	slices.SortFunc(events, func(a, b AdminEvent) int { return cmp.Compare(a.id, b.id) })
	return events, err
}
