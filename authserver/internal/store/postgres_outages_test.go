package store_test

import (
	"context"
	"database/sql/driver"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// outages are SQLSTATEs of a server that runs out of something, or stops.
var outages = []string{
	"53000", // insufficient_resources
	"53100", // disk_full
	"53200", // out_of_memory
	"53300", // too_many_connections
	"53400", // configuration_limit_exceeded
	"57014", // query_canceled, by statement_timeout
	"57P01", // admin_shutdown
	"57P02", // crash_shutdown
	"57P03", // cannot_connect_now
	"57P05", // idle_session_timeout
	"58030", // io_error
	"XX000", // internal_error
}

// failing is a driver that fails one statement, with each of outages in turn.
type failing struct {
	driver.Connector

	mu    sync.Mutex
	tries int
	left  int // statements until the one that fails; negative after that
}

func (f *failing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := f.Connector.Connect(ctx)
	return &failingConn{conn, f}, err
}

// next returns the error of the next statement.
func (f *failing) next() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left == 0 {
		return &pgconn.PgError{Severity: "ERROR", Code: outages[f.tries%len(outages)], Message: "by the test"}
	}
	return nil
}

// fail makes the statement with a number fail.
func (f *failing) fail(number int) (failed func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries, f.left = f.tries+1, number
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.left <= 0
	}
}

// failingConn has no optional methods, so that database/sql prepares every statement.
type failingConn struct {
	driver.Conn
	failing *failing
}

func (c *failingConn) Prepare(query string) (driver.Stmt, error) {
	if err := c.failing.next(); err != nil {
		return nil, err
	}
	return c.Conn.Prepare(query)
}

// Clients try again after an outage: the error of no statement looks like a missing row, or like one that is unknown.
func TestPostgreSQLOutages(t *testing.T) {
	t.Parallel()
	f := &failing{}
	s, err := store.Open(t.Context(), migratedPostgres(t), databasetest.Wrapped(func(c driver.Connector) driver.Connector {
		f.Connector = c
		return f
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.FailEach(t, s, f.fail)
}
