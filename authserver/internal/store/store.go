package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Errors of opening and using a database.
var (
	// ErrURL means that a database URL is malformed or of an unknown kind. The error does not
	// contain the URL, which may hold a password.
	ErrURL = errors.New("database URL not usable")
	// ErrNoDatabase means that the database file does not exist.
	ErrNoDatabase = errors.New("there is no database")
	// ErrPermissions means that every user of the machine can read or change the database file.
	ErrPermissions = errors.New("others can read or change the file")
	// ErrNewerSchema means that a newer version of the program has migrated the schema.
	ErrNewerSchema = errors.New("the schema of the database is newer than this program")
	// ErrOlderSchema means that the schema must be migrated before this program can use it.
	ErrOlderSchema = errors.New("the schema of the database is older than this program")
	// ErrUnreachable means that the database server does not respond, or rejects the login.
	// The server may still be starting.
	ErrUnreachable = errors.New("cannot connect to the database")
	// ErrUnavailable means that the database could not do what it was asked to: it is locked,
	// full, read-only or unreachable. A retry may succeed.
	ErrUnavailable = errors.New("database unavailable")
)

// Errors about single records, which wrap record.ErrNotFound and record.ErrExists.
var (
	errNoUser        = fmt.Errorf("user %w", record.ErrNotFound)
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

// dialect holds the differences between the engines.
type dialect struct {
	goose goose.Dialect
	// serial is the type of a primary key that numbers rows and never reuses a number.
	serial string
	// text is the type of text that sorts by its bytes, whatever the server's locale.
	text string
	// migrationTimeouts are statements that set the timeouts of a migration.
	migrationTimeouts []string
	// lockGrants are statements that let a transaction wait until no other one changes codes, sessions
	// or grants, and keep it so. SQLite has one writer at a time.
	lockGrants []string
	// skipLocked makes a SELECT leave out rows that another transaction has locked.
	skipLocked string
	// keyShare makes a SELECT lock its rows against deletion.
	keyShare string
	// share makes a SELECT lock its rows against every change.
	share string
	// forUpdate makes a SELECT lock its rows against keyShare too.
	forUpdate string
	// migrationLock lets one process migrate at a time. It is nil if the engine does so itself.
	migrationLock func() (goose.ProviderOption, error)
	// revokedAfter selects the grants revoked after a second and number. Each engine can answer
	// its own text from the index alone. With the other's, SQLite reads the whole second again
	// and PostgreSQL everything that was revoked later.
	revokedAfter string
	// versions counts the tables that hold the schema version.
	versions string
}

// Pool configures the connections to a PostgreSQL server. SQLite ignores it. The zero value
// has usable defaults.
type Pool struct {
	// Password replaces the one in the URL unless it is empty.
	Password string
	// Connections limits how many connections are open; 10 if zero.
	Connections int
	// ConnectTimeout limits opening a connection; 5 seconds if zero.
	ConnectTimeout time.Duration
	// StatementTimeout limits one statement and is enforced by the server; 5 seconds if zero.
	// A call to the Store takes at most StatementTimeout plus ConnectTimeout, even if the
	// server stops responding.
	StatementTimeout time.Duration
}

// withDefaults returns the pool with defaults in place of zero values.
func (p Pool) withDefaults() Pool {
	p.Connections = cmp.Or(p.Connections, 10)
	p.ConnectTimeout = cmp.Or(p.ConnectTimeout, 5*time.Second)
	p.StatementTimeout = cmp.Or(p.StatementTimeout, 5*time.Second)
	return p
}

// Store is the database. It is safe for concurrent use. Its methods return
// record.ErrNotFound, record.ErrExists or an error of package grant if the state of a record is
// the reason, and ErrUnavailable if the database is.
type Store struct {
	dialect dialect
	// defaultAudience is the API that an empty audience in the database means.
	defaultAudience string

	write pool // one connection on SQLite, which allows one writer at a time
	read  pool
}

// Open opens the database at the URL: sqlite:PATH, which creates the file if it does not
// exist, or postgres://..., which connects as limits says. It does not migrate: see Migrate.
// The caller must call Close.
func Open(ctx context.Context, url string, limits Pool) (*Store, error) {
	return open(ctx, url, limits, os.O_CREATE)
}

// OpenExisting is Open for a command. It returns ErrNoDatabase instead of creating a file,
// and allows calls to SQLite an hour: a command may revoke a million grants.
func OpenExisting(ctx context.Context, url string, limits Pool) (*Store, error) {
	return open(ctx, url, limits, 0)
}

func open(ctx context.Context, url string, limits Pool, flag int) (*Store, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	if path, ok := strings.CutPrefix(url, sqliteScheme); ok {
		return openSQLite(ctx, path, flag)
	}
	return openPostgres(ctx, url, limits.withDefaults())
}

const sqliteScheme = "sqlite:"

// CheckURL returns ErrURL unless Open can parse the URL. It opens nothing.
func CheckURL(url string) error {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case scheme == "sqlite" && rest != "":
		return nil
	case scheme == "sqlite":
		return fmt.Errorf("%w: sqlite: needs the path of a file, like sqlite:hallpass.db", ErrURL)
	case scheme == "postgres" || scheme == "postgresql":
		_, err := parsePostgres(url)
		return err
	}
	return fmt.Errorf("%w: it must be sqlite:PATH or postgres://user:password@host:5432/database", ErrURL)
}

// Close closes the database.
func (s *Store) Close() error { return closeAll(s.write, s.read) }

// Ping checks that the database responds, by reading from it.
func (s *Store) Ping(ctx context.Context) error {
	var exists any // a boolean on PostgreSQL, a number on SQLite
	return unavailable("ping", s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM users)", nil, &exists))
}

// CheckWritable checks that the database can be written: that the disk is not full, and the
// server not read-only. It changes the time of a row that is always there and says nothing;
// SQLite writes no row that stays the same.
func (s *Store) CheckWritable(ctx context.Context) error {
	_, err := s.write.exec(ctx, "write",
		"UPDATE "+goose.DefaultTablename+" SET tstamp = CURRENT_TIMESTAMP WHERE version_id = 0")
	return err
}

// unavailable wraps an error of the driver in ErrUnavailable. It returns nil for nil.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}

// execOne runs one statement and returns missing if it changes no row.
func (s *Store) execOne(ctx context.Context, doing string, missing error, query string, args ...any) error {
	n, err := s.write.exec(ctx, doing, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// inTx runs steps in one transaction. It rolls back and returns the error of steps if there
// is one.
func (s *Store) inTx(ctx context.Context, doing string, steps func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.write.callTimeout)
	defer cancel()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(doing, err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	if err := steps(ctx, tx); err != nil {
		return err
	}
	return unavailable(doing, tx.Commit())
}

// changed runs one statement of a transaction and returns how many rows it changed.
func changed(ctx context.Context, tx *sql.Tx, doing, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	return rowsAffected(doing, result, err)
}

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
