package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Errors of opening and using a database. Those of single rows are the domain's:
// account.ErrNotFound, client.ErrExists and so on.
var (
	// ErrURL says that a database URL cannot be used. The URL is not in the error:
	// it may hold a password.
	ErrURL = errors.New("database URL not usable")
	// ErrNoDatabase says that there is no file of a database.
	ErrNoDatabase = errors.New("there is no database")
	// ErrPermissions says that everybody on the machine can reach the file of a database.
	ErrPermissions = errors.New("others can read or change the file")
	// ErrNewerSchema says that a newer version of the program has changed the schema.
	ErrNewerSchema = errors.New("the schema of the database is newer than this program")
	// ErrOlderSchema says that the schema must be migrated before this program can use it.
	ErrOlderSchema = errors.New("the schema of the database is older than this program")
	// ErrUnreachable says that the server of the database does not answer, or does not
	// let us in. It may start a little later than we do.
	ErrUnreachable = errors.New("cannot connect to the database")
	// ErrUnavailable says that the database did not do what it was asked: it is
	// locked, full, read-only, gone. Trying again later may help.
	ErrUnavailable = errors.New("database unavailable")
)

// dialect is what the engines do not share.
type dialect struct {
	goose      goose.Dialect
	serial     string                               // a primary key that numbers rows and never gives a number twice
	text       string                               // the type of text that is ordered by its bytes, whatever the server's language
	patience   []string                             // statements that begin a migration: how long it may take
	skipLocked string                               // makes a SELECT leave out rows that another transaction holds
	keyShare   string                               // makes a SELECT hold its rows against deletion
	forUpdate  string                               // makes a SELECT hold its rows against keyShare too
	lock       func() (goose.ProviderOption, error) // keeps processes from migrating at once; nil where the engine does
	// revokedAfter selects the revoked grants after a second and number. Each engine answers
	// its own way to say so from the index alone, and with the other's it reads far too much:
	// SQLite all of that second again, PostgreSQL all that was revoked later.
	revokedAfter string
	versions     string // counts the tables that hold the version of the schema
}

// Pool says how a server of a database is used. It means nothing to SQLite, which
// has none.
type Pool struct {
	// Password is used in place of the URL's, unless it is empty.
	Password string
	// Connections is how many are open at the most.
	Connections int
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration
	// StatementTimeout bounds one statement; the server itself ends it. A call to the Store
	// takes at most this and ConnectTimeout together, even where the server is silent.
	StatementTimeout time.Duration
}

// DefaultPool is the pool of a program that has no settings for it.
var DefaultPool = Pool{Connections: 10, ConnectTimeout: 5 * time.Second, StatementTimeout: 5 * time.Second}

// Store is the database. It is safe for concurrent use. Every method returns the
// domain's error where the row is the reason, and ErrUnavailable where the database
// is.
type Store struct {
	dialect dialect
	// defaultAudience is the API that an empty audience in the database means.
	defaultAudience string

	write pool // SQLite has one writer at a time: a pool of one is the fairest queue
	read  pool
}

// pool is the connections to a database, and how long the work of one call may take: with
// the wait for a connection, and where the server or the network is dead and says nothing.
type pool struct {
	*sql.DB
	patience time.Duration
}

// scanRow runs a query for one row and scans it into variables.
func (p pool) scanRow(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return p.QueryRowContext(ctx, query, args...).Scan(into...)
}

// one runs a query for one row and scans it.
func one[T any](ctx context.Context, p pool, scan func(row) (T, error), query string, args ...any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return scan(p.QueryRowContext(ctx, query, args...))
}

// list runs a query and scans every row of it.
func list[T any](ctx context.Context, p pool, doing string, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	rows, err := p.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, unavailable(doing, rows.Err())
}

// row is what *sql.Row and *sql.Rows share.
type row interface{ Scan(...any) error }

// Open opens the database of the URL: sqlite:PATH, whose file is made where there
// is none, or postgres://..., whose server is reached through the pool. It does not
// migrate: see Migrate.
func Open(ctx context.Context, url string, limits Pool) (*Store, error) {
	return open(ctx, url, limits, os.O_CREATE)
}

// OpenExisting is Open for a command: it makes no file, where there is none it is
// ErrNoDatabase, and calls of SQLite may take as long as they need.
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
	return openPostgres(ctx, url, limits)
}

const sqliteScheme = "sqlite:"

// CheckURL tells whether Open can understand the URL, and opens nothing. The error is
// ErrURL.
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

// Ping reports whether the database answers, by reading from it.
func (s *Store) Ping(ctx context.Context) error {
	var exists any // a boolean in one engine, a number in the other
	return unavailable("ping", s.read.scanRow(ctx, "SELECT EXISTS (SELECT 1 FROM users)", nil, &exists))
}

// unavailable wraps an error of the driver; nil stays nil.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, doing, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.write.patience)
	defer cancel()
	result, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, unavailable(doing, err)
	}
	n, err := result.RowsAffected()
	return n, unavailable(doing, err)
}

// execOne is exec for a statement that must change a row; none is the error
// missing.
func (s *Store) execOne(ctx context.Context, doing string, missing error, query string, args ...any) error {
	n, err := s.exec(ctx, doing, query, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

// inTx runs steps in one transaction, which is rolled back if any fails. An error
// of the steps comes back as it is if it is of the domain.
func (s *Store) inTx(ctx context.Context, doing string, steps func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.write.patience)
	defer cancel()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(doing, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := steps(ctx, tx); err != nil {
		return err
	}
	return unavailable(doing, tx.Commit())
}

// changed runs one statement of a transaction and reports how many rows it changed.
func changed(ctx context.Context, tx *sql.Tx, doing, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, unavailable(doing, err)
	}
	n, err := result.RowsAffected()
	return n, unavailable(doing, err)
}

// seconds is how a time is stored; the zero time is NULL.
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

// words reads a list that is stored as a text; an empty one is nil.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Fields(text)
}
