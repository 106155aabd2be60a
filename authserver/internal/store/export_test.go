package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"
)

// SetBusyTimeout makes the one writing connection to SQLite wait only so long for a
// lock, so that a test of a locked database need not wait for five seconds.
func (s *Store) SetBusyTimeout(ctx context.Context, d time.Duration) error {
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}

// OpenRecording opens a SQLite database whose every statement is shown to record first,
// as the program wrote it.
func OpenRecording(ctx context.Context, path string, record func(query string)) (*Store, error) {
	s, err := openSQLite(ctx, path, 0)
	if err != nil {
		return nil, err
	}
	driver := s.write.Driver()
	if err := s.Close(); err != nil {
		return nil, err
	}
	open := func(lock string) *sql.DB {
		db := sql.OpenDB(&recorder{driver: driver, dsn: sqliteDSN(path, lock), record: record})
		db.SetMaxOpenConns(1)
		return db
	}
	s.write, s.read = pool{open("immediate"), sqlitePatience}, pool{open("deferred"), sqlitePatience}
	return s, nil
}

// Prepare checks a statement against the schema without running it.
func (s *Store) Prepare(ctx context.Context, query string) (err error) {
	statement, err := s.write.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = statement.Close() }()
	return nil
}

// recorder connects to a database by a driver that it listens in on.
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

// recordedConn has no more than the least that a connection must have, so that
// database/sql prepares every statement.
type recordedConn struct {
	driver.Conn
	record func(query string)
}

func (c *recordedConn) Prepare(query string) (driver.Stmt, error) {
	c.record(query)
	return c.Conn.Prepare(query)
}

// Patience returns how long a call may take.
func (s *Store) Patience() time.Duration { return min(s.write.patience, s.read.patience) }

// OpenConnections returns how many connections there are to the database.
func (s *Store) OpenConnections() int {
	return s.write.Stats().OpenConnections + s.read.Stats().OpenConnections
}

// SetPatience changes how long a call may take.
func (s *Store) SetPatience(patience time.Duration) {
	s.write.patience, s.read.patience = patience, patience
}
