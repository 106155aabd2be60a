package database

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
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
	// ErrUnavailable means that the database could not run a call, because it is locked, full,
	// read-only or unreachable. A retry may succeed.
	ErrUnavailable = errors.New("database unavailable")
)

// Pool configures the connections to a database. SQLite ignores Password and Connections. The
// zero value has usable defaults.
type Pool struct {
	// Password, unless nil, returns the password, in place of the one in the URL unless it is empty. It is called for
	// each connection, and the files that the URL names are read for each, so that all of them may change at any time.
	Password func() (string, error)
	// Connections limits how many connections are open; 10 if zero.
	Connections int
	// ConnectTimeout limits opening a connection; 5 seconds if zero.
	ConnectTimeout time.Duration
	// StatementTimeout limits one statement; 5 seconds if zero. A PostgreSQL server enforces it. A call to either
	// engine takes at most StatementTimeout plus ConnectTimeout, even if the database stops responding; on SQLite up to
	// StatementTimeout more while another program holds its lock.
	StatementTimeout time.Duration
	// Wrap, unless nil, wraps the connector of all connections, to trace or record statements.
	Wrap func(driver.Connector) driver.Connector
}

// wrap applies Wrap to a connector.
func (p Pool) wrap(c driver.Connector) driver.Connector {
	if p.Wrap == nil {
		return c
	}
	return p.Wrap(c)
}

// withDefaults returns the pool with defaults in place of zero values.
func (p Pool) withDefaults() Pool {
	p.Connections = cmp.Or(p.Connections, 10)
	p.ConnectTimeout = cmp.Or(p.ConnectTimeout, 5*time.Second)
	p.StatementTimeout = cmp.Or(p.StatementTimeout, 5*time.Second)
	return p
}

// callTimeout returns the limit on one call.
func (p Pool) callTimeout() time.Duration { return p.ConnectTimeout + p.StatementTimeout }

// DB is an open database. It is safe for concurrent use.
type DB struct {
	// Engine is the kind of database.
	Engine Engine
	// Write has the connections for statements that write outside InTx and Exec, and for reads that must see
	// the latest write. On SQLite, which allows one writer at a time, it is a single connection.
	Write *Conns
	// Read has the connections for statements that only read. On PostgreSQL they are those of Write.
	Read *Conns

	// committer commits the writes to SQLite. It is nil on PostgreSQL.
	committer *committer
}

// Open opens the database at the URL: sqlite:PATH, which creates the file if it does not
// exist, or postgres://..., which connects as configured by the Pool. It does not migrate: see
// Migrate. The caller must call Close.
func Open(ctx context.Context, url string, limits Pool) (*DB, error) {
	return open(ctx, url, limits, os.O_CREATE)
}

// OpenExisting is Open for a command. It returns ErrNoDatabase instead of creating a file,
// and allows calls to SQLite an hour: a command may change a million rows.
func OpenExisting(ctx context.Context, url string, limits Pool) (*DB, error) {
	return open(ctx, url, limits, 0)
}

func open(ctx context.Context, url string, limits Pool, flag int) (*DB, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	limits = limits.withDefaults()
	if path, ok := SQLitePath(url); ok {
		return openSQLite(ctx, path, flag, limits)
	}
	return openPostgres(ctx, url, limits)
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

// Close waits for the writes that are in progress and closes the database.
func (d *DB) Close() error {
	if d.committer != nil {
		d.committer.close()
	}
	if d.Write == d.Read {
		return d.Write.Close()
	}
	return errors.Join(d.Write.Close(), d.Read.Close())
}

// CheckWritable checks that the database can be written: that the disk of SQLite is not full and
// PostgreSQL is not read-only. It updates the time in a row that exists for this purpose, because
// SQLite does not write a row that stays the same. PostgreSQL finds room for that on a full disk too.
func (d *DB) CheckWritable(ctx context.Context) error {
	_, err := d.Exec(ctx, "write",
		"UPDATE "+goose.DefaultTablename+" SET tstamp = CURRENT_TIMESTAMP WHERE version_id = 0")
	return err
}

// QueuedWrites returns how many writes to SQLite are waiting to be committed. On PostgreSQL it is 0.
func (d *DB) QueuedWrites() int {
	if d.committer == nil {
		return 0
	}
	return len(d.committer.queue)
}

// Unavailable wraps an error of the driver in ErrUnavailable. It returns nil for nil.
func Unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}
