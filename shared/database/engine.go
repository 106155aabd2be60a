package database

import (
	"fmt"
	"slices"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Engine is a kind of database.
type Engine int

// The engines.
const (
	SQLite Engine = iota
	PostgreSQL
)

// String returns the name of the engine.
func (e Engine) String() string {
	if e == PostgreSQL {
		return "PostgreSQL"
	}
	return "SQLite"
}

// SkipLocked returns the clause that makes a SELECT lock its rows and skip rows that another transaction has
// locked. It is empty for SQLite, which has one writer at a time.
func (e Engine) SkipLocked() string {
	if e == PostgreSQL {
		return "FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// LongTransaction returns the statements to begin a long transaction with. While it waits for a lock, it blocks
// other statements, so it waits only for a short time.
func (e Engine) LongTransaction() []string { return slices.Clone(e.dialect().longTransaction) }

// dialect holds what migrations need to know about an engine.
type dialect struct {
	goose goose.Dialect
	// serial is the type of a primary key that numbers rows and never reuses a number.
	serial string
	// text is the type of text that sorts by its bytes, whatever the server's locale.
	text string
	// onPostgreSQL begins a line that SQLite reads as a comment.
	onPostgreSQL string
	// onSQLite begins a line that PostgreSQL reads as a comment.
	onSQLite string
	// versions counts the tables that hold the schema version.
	versions string
	// longTransaction is what LongTransaction returns.
	longTransaction []string
	// lock is a statement that lets one transaction migrate at a time. It is empty if the engine does so
	// itself.
	lock string
}

func (e Engine) dialect() dialect {
	if e == PostgreSQL {
		return postgresDialect
	}
	return sqliteDialect
}

var sqliteDialect = dialect{
	goose:        goose.DialectSQLite3,
	serial:       "INTEGER PRIMARY KEY AUTOINCREMENT",
	text:         "TEXT",
	onPostgreSQL: "-- ",
	versions: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' " +
		"AND name = '" + goose.DefaultTablename + "'",
}

var postgresDialect = dialect{
	goose:  goose.DialectPostgres,
	serial: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	// With the "C" collation, lists sort alike on every server, and an upgrade of libc corrupts
	// no index.
	text:            `TEXT COLLATE "C"`,
	versions:        "SELECT COUNT(to_regclass('" + goose.DefaultTablename + "'))",
	onSQLite:        "-- ",
	longTransaction: []string{"SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = '5s'"},
	// Released with the transaction, so that it also works through PgBouncer, which gives each transaction
	// a session. Earlier versions take the same lock for a session.
	lock: fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lock.DefaultLockID),
}
