package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SetBusyTimeout sets how long the writing connection to SQLite waits for a lock.
func (s *Store) SetBusyTimeout(ctx context.Context, d time.Duration) error {
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}

// OpenRecording opens a SQLite database and passes the text of every statement to record.
func OpenRecording(ctx context.Context, path string, record func(query string)) (*Store, error) {
	s, err := openSQLite(ctx, path, 0)
	if err != nil {
		return nil, err
	}
	driver := s.write.Driver()
	if err := s.Close(); err != nil {
		return nil, err
	}
	open := func(lock string) pool {
		db := sql.OpenDB(&recorder{driver: driver, dsn: sqliteDSN(path, lock), record: record})
		db.SetMaxOpenConns(1)
		return pool{DB: db, callTimeout: serverCallTimeout}
	}
	s.write, s.read = open("immediate"), open("deferred")
	return s, nil
}

// OpenDialing opens a PostgreSQL database over connections of dial, whatever the host.
func OpenDialing(ctx context.Context, url string, limits Pool, dial pgconn.DialFunc) (*Store, error) {
	config, err := parsePostgres(url)
	if err != nil {
		return nil, err
	}
	config.DialFunc = dial
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil }
	return connectPostgres(ctx, config, limits.withDefaults())
}

// Prepare checks a statement against the schema. It does not run it.
func (s *Store) Prepare(ctx context.Context, query string) (err error) {
	statement, err := s.write.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = statement.Close() }()
	return nil
}

// Exec runs a statement.
func (s *Store) Exec(ctx context.Context, query string) error {
	_, err := s.write.ExecContext(ctx, query)
	return err
}

// recorder is a connector that records the statements of its connections.
type recorder struct {
	driver driver.Driver
	dsn    string
	record func(query string)
}

func (r *recorder) Driver() driver.Driver { return r.driver }

func (r *recorder) Connect(context.Context) (driver.Conn, error) {
	c, err := r.driver.Open(r.dsn)
	return &recordedConn{Conn: c, record: r.record}, err
}

// recordedConn has no optional methods, so that database/sql prepares every statement.
type recordedConn struct {
	driver.Conn
	record func(query string)
}

func (c *recordedConn) Prepare(query string) (driver.Stmt, error) {
	c.record(query)
	return c.Conn.Prepare(query)
}

// CallTimeout returns the limit on one call.
func (s *Store) CallTimeout() time.Duration { return min(s.write.callTimeout, s.read.callTimeout) }

// OpenConnections returns the number of open connections to the database.
func (s *Store) OpenConnections() int {
	return s.write.Stats().OpenConnections + s.read.Stats().OpenConnections
}

// SetCallTimeout changes the limit on one call.
func (s *Store) SetCallTimeout(d time.Duration) {
	s.write.callTimeout, s.read.callTimeout = d, d
}

// MigrateTo migrates a new database to the schema of an earlier version.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	provider, err := s.migrations()
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}
