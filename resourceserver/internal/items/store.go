package items

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
)

// The pauses between two attempts to open a database.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
)

// Store keeps items. It is safe for concurrent use. Its methods return database.ErrUnavailable if the
// database is away.
type Store struct {
	db      atomic.Pointer[database.DB] // nil until the database is open
	opening chan struct{}               // closed when nothing opens the database any longer
	stop    context.CancelFunc
}

// Open opens the database at the URL and brings its schema up to date. If the database cannot be reached, Open
// returns a Store that goes on trying until Close, and logs why. Other errors are those of database.Open.
func Open(ctx context.Context, url string, limits database.Pool, log *slog.Logger) (*Store, error) {
	s := &Store{opening: make(chan struct{})}
	var background context.Context
	background, s.stop = context.WithCancel(ctx)
	db, err := open(ctx, url, limits)
	if err != nil && !errors.Is(err, database.ErrUnreachable) {
		s.stop()
		return nil, err
	}
	if err == nil {
		s.db.Store(db)
		close(s.opening)
		return s, nil
	}
	log.WarnContext(ctx, "items are not available: waiting for their database", "error", err)
	go s.keepOpening(background, url, limits, log)
	return s, nil
}

// keepOpening opens the database, with growing pauses, until it is open or ctx ends.
func (s *Store) keepOpening(ctx context.Context, url string, limits database.Pool, log *slog.Logger) {
	defer close(s.opening)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		db, err := open(ctx, url, limits)
		if err == nil {
			s.db.Store(db)
			log.InfoContext(ctx, "items are available: their database is open")
			return
		}
		if ctx.Err() == nil {
			log.WarnContext(ctx, "waiting for the database of items", "error", err)
		}
	}
}

// open opens the database and migrates it.
func open(ctx context.Context, url string, limits database.Pool) (*database.DB, error) {
	db, err := database.Open(ctx, url, limits)
	if err != nil {
		return nil, err
	}
	if _, err := db.Migrate(ctx, migrations()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the files of the schema.
func migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return files
}

// Close waits for the writes that are in progress and closes the database.
func (s *Store) Close() error {
	s.stop()
	<-s.opening
	if db := s.db.Load(); db != nil {
		return db.Close()
	}
	return nil
}

// Ping checks that the database responds, by reading from it.
func (s *Store) Ping(ctx context.Context) error {
	db, err := s.opened()
	if err != nil {
		return err
	}
	var exists any // a boolean on PostgreSQL, a number on SQLite
	err = db.Read.ScanRow(ctx, "SELECT EXISTS (SELECT 1 FROM owners)", nil, &exists)
	return database.Unavailable("ping", err)
}

// opened returns the database, or ErrUnavailable if it is not open yet.
func (s *Store) opened() (*database.DB, error) {
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	return nil, fmt.Errorf("%w: it has not been reached yet", database.ErrUnavailable)
}
