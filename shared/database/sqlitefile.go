package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrInUse means that another process has the database file open.
var ErrInUse = errors.New("another process uses the database: stop the servers first")

// ErrDamaged means that a file is no SQLite database, or a damaged one.
var ErrDamaged = errors.New("the file is not a database, or is damaged")

// lockTimeout is how long LockSQLite waits for commands that use the file for a moment.
const lockTimeout = time.Second

// SQLitePath returns the path in a database URL, and whether it is one of SQLite.
func SQLitePath(url string) (path string, ok bool) { return strings.CutPrefix(url, sqliteScheme) }

// BackUp writes a copy of a SQLite database, as it is at one moment, to a file that is empty or does not
// exist. Writes go on meanwhile. It does not sync the file.
func (d *DB) BackUp(ctx context.Context, path string) error {
	_, err := d.Read.ExecContext(ctx, "VACUUM INTO $1", path)
	return Unavailable("back up", err)
}

// CheckIntegrity returns an error if the pages of a SQLite database contradict each other. On PostgreSQL it
// does nothing.
func (d *DB) CheckIntegrity(ctx context.Context) error {
	if d.Engine != SQLite {
		return nil
	}
	var result string
	if err := d.Read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return Unavailable("check the file", err)
	}
	if result != "ok" {
		return fmt.Errorf("%w: the file is damaged: %s", ErrUnavailable, result)
	}
	return nil
}

// SQLiteLock is a SQLite database that no other process can open until Close. Its one connection reads.
type SQLiteLock struct {
	db *sql.DB
	*sql.Conn
}

// LockSQLite locks the file of a database for this process. All changes are then in the file itself, and
// none in those beside it. It returns ErrInUse if a server or a command uses the database, and ErrDamaged if SQLite
// cannot read the file. Then it is not known whether another process uses it: see LockDamagedSQLite.
//
// As long as the lock is held, this process must not open the file in another way: the kernel would drop
// the lock when that is closed.
func LockSQLite(ctx context.Context, path string) (*SQLiteLock, error) {
	options := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", lockTimeout.Milliseconds())}}
	if _, err := os.Stat(path); err != nil { // SQLite would create it
		return nil, err
	}
	connector, err := driver.NewConnector(sqliteName(path, options))
	if err != nil {
		return nil, err
	}
	l := &SQLiteLock{db: sql.OpenDB(connector)}
	if l.Conn, err = l.db.Conn(ctx); err == nil {
		err = l.lock(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// lock leaves the mode in which changes are in another file, and takes the lock on the file.
func (l *SQLiteLock) lock(ctx context.Context) error {
	for _, statement := range []string{"PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"} {
		var reason *driver.Error
		_, err := l.ExecContext(ctx, statement)
		if errors.As(err, &reason) && reason.Code()&0xff == sqlite3.SQLITE_BUSY {
			return ErrInUse
		}
		if err != nil {
			return Unavailable("lock the file", damaged(err))
		}
	}
	var mode string
	if err := l.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return Unavailable("lock the file", err)
	}
	if mode != "delete" { // another process has opened it between the two statements
		return ErrInUse
	}
	return nil
}

// Close releases the lock.
func (l *SQLiteLock) Close() error {
	var err error
	if l.Conn != nil {
		err = l.Conn.Close()
	}
	return errors.Join(err, l.db.Close())
}

// damaged adds ErrDamaged to an error of SQLite that means it. SQLite has other reasons not to read a file, such as
// its permissions or the disk.
func damaged(err error) error {
	var reason *driver.Error
	if errors.As(err, &reason) {
		if code := reason.Code() & 0xff; code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}
