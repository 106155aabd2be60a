package items

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
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
	opening sync.WaitGroup              // the goroutine of keepOpening, if there is one
	stop    context.CancelFunc          // ends keepOpening
}

// Open opens the database at the URL and brings its schema up to date. If the database cannot be reached, Open
// returns a Store that goes on trying until Close or the end of ctx, and logs why. Other errors are those of
// database.Open. The caller must call Close.
func Open(ctx context.Context, url string, limits database.Pool, log *slog.Logger) (*Store, error) {
	ctx, stop := context.WithCancel(ctx)
	s := &Store{stop: stop}
	db, err := open(ctx, url, limits)
	switch {
	case err == nil:
		s.db.Store(db)
	case errors.Is(err, database.ErrUnreachable):
		log.WarnContext(ctx, "items are not available: waiting for their database", "error", err)
		s.opening.Go(func() { s.keepOpening(ctx, url, limits, log) })
	default:
		stop()
		return nil, err
	}
	return s, nil
}

// keepOpening opens the database, with growing pauses, until it is open or ctx ends.
func (s *Store) keepOpening(ctx context.Context, url string, limits database.Pool, log *slog.Logger) {
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
		panic(err) // the name is a valid path
	}
	return files
}

// Close ends the attempts to open the database, waits for the writes that are in progress, and closes it.
func (s *Store) Close() error {
	s.stop()
	s.opening.Wait()
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
