package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Errors of opening and using a database, for callers that do not know package database.
var (
	ErrURL         = database.ErrURL
	ErrNoDatabase  = database.ErrNoDatabase
	ErrPermissions = database.ErrPermissions
	ErrNewerSchema = database.ErrNewerSchema
	ErrOlderSchema = database.ErrOlderSchema
	ErrUnreachable = database.ErrUnreachable
	ErrUnavailable = database.ErrUnavailable
)

// Errors about single records, which wrap record.ErrNotFound and record.ErrExists.
var (
	errNoUser        = fmt.Errorf("user %w", record.ErrNotFound)
	errNoInvitation  = fmt.Errorf("invitation %w", record.ErrNotFound)
	errNoClient      = fmt.Errorf("client %w", record.ErrNotFound)
	errNoAPI         = fmt.Errorf("API %w", record.ErrNotFound)
	errNoGrant       = fmt.Errorf("grant %w", record.ErrNotFound)
	errNoSession     = fmt.Errorf("session %w", record.ErrNotFound)
	errNoConsent     = fmt.Errorf("consent %w", record.ErrNotFound)
	errNoDescription = fmt.Errorf("description %w", record.ErrNotFound)

	errUserExists   = fmt.Errorf("user %w", record.ErrExists)
	errClientExists = fmt.Errorf("client %w", record.ErrExists)
	errAPIExists    = fmt.Errorf("API %w", record.ErrExists)
)

// Pool configures the connections to a database: see [database.Pool].
type Pool = database.Pool

// Wrap is a function that wraps a driver.
type Wrap = func(driver.Connector) driver.Connector

// dialect holds the differences between the engines that statements must know.
type dialect struct {
	// lockGrants are statements that let a transaction wait until no other one changes codes, sessions
	// or grants, and keep it so. SQLite has one writer at a time.
	lockGrants []string
	// skipLocked makes a SELECT leave out rows that another transaction has locked. If the limit of the SELECT matters,
	// put it into WITH ... AS MATERIALIZED: PostgreSQL may run a subquery of WHERE again for each row, and it finds other
	// rows each time, because it skips those that the statement has changed.
	skipLocked string
	// keyShare makes a SELECT lock its rows against deletion.
	keyShare string
	// share makes a SELECT lock its rows against every change.
	share string
	// forUpdate makes a SELECT lock its rows against keyShare too.
	forUpdate string
	// revokedAfter selects the grants revoked after a second and number. Each engine can answer
	// its own text from the index alone. With the other's, SQLite reads the whole second again
	// and PostgreSQL everything that was revoked later.
	revokedAfter string
}

var dialects = map[database.Engine]dialect{
	database.SQLite: {
		revokedAfter: "SELECT number, revoked_at FROM grants WHERE revoked_at = $1 AND number > $2 " +
			"UNION ALL SELECT number, revoked_at FROM grants WHERE revoked_at > $1",
	},
	database.PostgreSQL: {
		lockGrants: []string{
			"LOCK TABLE codes, device_codes, pushed_requests, sessions, grants IN SHARE ROW EXCLUSIVE MODE",
		},
		skipLocked: database.PostgreSQL.SkipLocked(),
		keyShare:   "FOR KEY SHARE",
		share:      "FOR SHARE",
		forUpdate:  "FOR UPDATE",
		revokedAfter: "SELECT number, revoked_at FROM grants " +
			"WHERE revoked_at >= $1 AND (revoked_at, number) > ($1, $2)",
	},
}

// Store is the database. It is safe for concurrent use. Its methods return
// record.ErrNotFound, record.ErrExists or an error of package grant if the state of a record is
// the reason, and ErrUnavailable if the database is.
type Store struct {
	db      *database.DB
	dialect dialect
	// defaultAudience is the API that an empty audience in the database means.
	defaultAudience string

	write pool // one connection on SQLite, which allows one writer at a time
	read  pool
	// replica is nil unless UseReplica was called.
	replica *database.Replica
	swept   sweeps
	// droppedDeliveries counts the deliveries to webhooks that were dropped.
	droppedDeliveries atomic.Int64

	search search
}

// Open opens the database at the URL: sqlite:PATH, which creates the file if it does not
// exist, or postgres://..., which connects as limits says. It does not migrate: see Migrate.
// The caller must call Close.
func Open(ctx context.Context, url string, limits Pool) (*Store, error) {
	return newStore(database.Open(ctx, url, limits))
}

// OpenExisting is Open for a command. It returns ErrNoDatabase instead of creating a file,
// and allows calls to SQLite an hour: a command may revoke a million grants.
func OpenExisting(ctx context.Context, url string, limits Pool) (*Store, error) {
	return newStore(database.OpenExisting(ctx, url, limits))
}

// newStore returns the store in an open database, or the error of opening it.
func newStore(db *database.DB, err error) (*Store, error) {
	if err != nil {
		return nil, err
	}
	return &Store{db: db, dialect: dialects[db.Engine], write: pool{db.Write}, read: pool{db.Read}}, nil
}

// CheckURL returns ErrURL unless Open can parse the URL. It opens nothing.
func CheckURL(url string) error { return database.CheckURL(url) }

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the files that Migrate runs.
func migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return files
}

// Migrate brings the schema up to date and returns its version. Several processes may call it
// at once. It returns ErrNewerSchema for a schema that a newer program has migrated.
func (s *Store) Migrate(ctx context.Context) (version int64, err error) {
	if version, err = s.db.Migrate(ctx, migrations()); err != nil {
		return version, err
	}
	return version, s.fillSkeletons(ctx)
}

// Schema returns the version of the schema and changes nothing. It returns ErrNewerSchema or
// ErrOlderSchema if the version is not the program's own.
func (s *Store) Schema(ctx context.Context) (version int64, err error) {
	return s.db.Schema(ctx, migrations())
}

// Close waits for the writes that are in progress and closes the database.
func (s *Store) Close() error {
	if s.replica == nil {
		return s.db.Close()
	}
	return errors.Join(s.replica.Close(), s.db.Close())
}

// Pools returns the pools of connections by what they are for: one on PostgreSQL, two on SQLite, which has one
// connection that writes. They are for reading their statistics.
func (s *Store) Pools() map[string]*sql.DB {
	if s.write == s.read {
		return map[string]*sql.DB{"all": s.write.DB}
	}
	return map[string]*sql.DB{"read": s.read.DB, "write": s.write.DB}
}

// Ping checks that the database responds, by reading from it.
func (s *Store) Ping(ctx context.Context) error {
	var exists any // a boolean on PostgreSQL, a number on SQLite
	return unavailable("ping", s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM users)", nil, &exists))
}

// CheckWritable checks that the database can be written: that the disk of SQLite is not full, and
// PostgreSQL is not read-only. It changes no row of the store.
func (s *Store) CheckWritable(ctx context.Context) error { return s.db.CheckWritable(ctx) }

// seconds returns a time as the database stores it: Unix seconds, NULL for the zero time.
func seconds(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.Unix(), Valid: !t.IsZero()}
}

// timeOf is the inverse of seconds.
func timeOf(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(n.Int64, 0).UTC()
}

// words parses a list that is stored as text. It returns nil for an empty one.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Fields(text)
}
