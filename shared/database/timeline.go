package database

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// errOldTimeline is why a connection to a primary that another one has replaced is not used.
var errOldTimeline = errors.New("another primary has replaced this one; if you have replaced the whole database, " +
	"restart the server")

// timelines knows the newest timeline that a connection was on. PostgreSQL begins a timeline with a higher number when
// a standby is promoted.
//
// A primary that was frozen, with its machine, does not know that another one was promoted meanwhile. When it wakes up,
// it believes that it is still the primary until somebody stops it, and says that new logins do not exist. So a process
// that has seen the new primary never connects to the old one again.
type timelines struct{ newest atomic.Int64 }

// see records the timeline of a new connection; 0 if it is not known. It reports whether it is newer than those of
// earlier connections, and returns errOldTimeline if it is older.
func (s *timelines) see(timeline int64) (newer bool, err error) {
	for timeline != 0 {
		newest := s.newest.Load()
		switch {
		case timeline < newest:
			return false, fmt.Errorf("timeline %d is older than %d: %w", timeline, newest, errOldTimeline)
		case timeline == newest:
			return false, nil
		case s.newest.CompareAndSwap(newest, timeline):
			return newest != 0, nil
		}
	}
	return false, nil
}

// timelineOf returns the timeline of the primary that a connection is to. It returns 0 if the server does not say: a
// standby, a server with PostgreSQL's protocol that has no timelines, or a role that may not ask.
func timelineOf(ctx context.Context, c *pgconn.PgConn) (int64, error) {
	// The name of a WAL file begins with its timeline, in eight hexadecimal digits. A standby would log an error.
	results, err := c.Exec(ctx, "SELECT CASE WHEN pg_is_in_recovery() THEN '' "+
		"ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END").ReadAll()
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && !c.IsClosed() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, nil
	}
	timeline, err := strconv.ParseInt(string(results[0].Rows[0][0]), 16, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // a standby, or another product that names its files differently
	}
	return timeline, nil
}
