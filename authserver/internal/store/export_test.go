package store

import (
	"context"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// SetBusyTimeout sets how long the writing connection to SQLite waits for a lock.
func (s *Store) SetBusyTimeout(ctx context.Context, d time.Duration) error {
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}

// Write runs steps as one write to SQLite.
func (s *Store) Write(ctx context.Context, steps func() error) error {
	return s.inTx(ctx, "write", func(context.Context, transaction) error { return steps() })
}

// Queued returns the number of writes that wait to be committed.
func (s *Store) Queued() int { return s.db.QueuedWrites() }

// OpenRecording opens a SQLite database and records the statements.
func OpenRecording(ctx context.Context, path string, recorder *databasetest.Recorder) (*Store, error) {
	return OpenExisting(ctx, "sqlite:"+path, databasetest.Wrapped(recorder.Wrap))
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

// Scan runs a query for one row.
func (s *Store) Scan(ctx context.Context, query string, into ...any) error {
	return s.read.scanRow(ctx, query, nil, into...)
}

// Exec runs a statement.
func (s *Store) Exec(ctx context.Context, query string) error {
	_, err := s.write.ExecContext(ctx, query)
	return err
}

// CallTimeout returns the limit on one call.
func (s *Store) CallTimeout() time.Duration { return min(s.write.CallTimeout, s.read.CallTimeout) }

// OpenConnections returns the number of open connections to the database.
func (s *Store) OpenConnections() int {
	return s.write.Stats().OpenConnections + s.read.Stats().OpenConnections
}

// SetCallTimeout changes the limit on one call.
func (s *Store) SetCallTimeout(d time.Duration) {
	s.write.CallTimeout, s.read.CallTimeout = d, d
}

// MigrateTo migrates a new database to the schema of an earlier version.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	_, err := s.db.MigrateTo(ctx, migrations(), version)
	return err
}

// Texts returns all values of all tables as texts.
func (s *Store) Texts(ctx context.Context) (texts []string, err error) {
	tables, err := s.strings(ctx, "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		tables, err = s.strings(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
	}
	for _, table := range tables {
		found, err := s.strings(ctx, "SELECT * FROM "+table)
		if err != nil {
			return nil, err
		}
		texts = append(texts, found...)
	}
	return texts, err
}

// strings returns all values that a query finds as texts.
func (s *Store) strings(ctx context.Context, query string) (texts []string, err error) {
	rows, err := s.write.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for _, v := range values {
			if bytes, ok := v.([]byte); ok {
				v = string(bytes)
			}
			texts = append(texts, fmt.Sprint(v))
		}
	}
	return texts, rows.Err()
}
