package statement

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // postgres
	_ "modernc.org/sqlite"             // sqlite
)

// How the server opens its database by default.
const (
	sqliteReaders       = 4
	postgresConnections = 10
)

// database is an open database with the statements of all operations.
type database struct {
	write, read *sql.DB // one and the same for PostgreSQL

	clientByID, userByID, grantByNumber, serviceGrant lookup
	rotateRefresh                                     *sql.Stmt
}

// lookup is a query for one row.
type lookup struct {
	*sql.Stmt
	columns int
}

// row returns the columns of the row with this key; that there is none is an error.
func (l lookup) row(ctx context.Context, key any) ([]any, error) {
	values, into := make([]any, l.columns), make([]any, l.columns)
	for i := range values {
		into[i] = &values[i]
	}
	if err := l.QueryRowContext(ctx, key).Scan(into...); err != nil {
		return nil, fmt.Errorf("the row of %v: %w", key, err)
	}
	return values, nil
}

// open opens the database of the URL, which a server has made before.
func open(ctx context.Context, address string) (*database, error) {
	db, err := pools(address)
	if err != nil {
		return nil, err
	}
	if err := db.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

func (db *database) prepare(ctx context.Context) (err error) {
	for _, l := range []struct {
		lookup *lookup
		text   string
	}{
		{&db.clientByID, clientByID}, {&db.userByID, userByID}, {&db.grantByNumber, grantByNumber}, {&db.serviceGrant, serviceGrant},
	} {
		columns, _, _ := strings.Cut(l.text, " FROM ")
		l.lookup.columns = 1 + strings.Count(columns, ",")
		if l.lookup.Stmt, err = db.read.PrepareContext(ctx, l.text); err != nil {
			return fmt.Errorf("preparing %q: %w", l.text, err)
		}
	}
	if db.rotateRefresh, err = db.write.PrepareContext(ctx, rotateRefresh); err != nil {
		return fmt.Errorf("preparing %q: %w", rotateRefresh, err)
	}
	return nil
}

// pools makes the pools of connections, with the limits and the settings of the server.
func pools(address string) (*database, error) {
	path, isSQLite := strings.CutPrefix(address, "sqlite:")
	if !isSQLite {
		pool, err := sql.Open("pgx", address)
		if err != nil {
			return nil, err
		}
		pool.SetMaxOpenConns(postgresConnections)
		pool.SetMaxIdleConns(postgresConnections)
		return &database{write: pool, read: pool}, nil
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, "immediate"))
	if err != nil {
		return nil, err
	}
	read, err := sql.Open("sqlite", sqliteDSN(path, "deferred"))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteReaders)
	return &database{write: write, read: read}, nil
}

// sqliteDSN names the file with what the server sets every connection to. A file that
// is not there is an error, not a new database.
func sqliteDSN(path, lock string) string {
	options := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock": {lock},
		"mode":    {"rw"},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}

// close closes the pools, and the statements with them.
func (db *database) close() error {
	if db.write == db.read {
		return db.write.Close()
	}
	return errors.Join(db.write.Close(), db.read.Close())
}
