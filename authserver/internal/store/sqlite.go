package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite" // in Go alone
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders is how many connections read at once. Each holds its own page
// cache, so there are few.
const sqliteReaders = 4

// busyTimeout is how long a writer waits for another one, and busyPause how often it
// looks where SQLite itself does not wait.
const (
	busyTimeout = 5 * time.Second
	busyPause   = 10 * time.Millisecond
)

// How long a call may take, with the wait for the others that write: that of a server, for
// which somebody waits, and that of a command, which may have a million grants to revoke.
const (
	sqlitePatience  = 2 * busyTimeout
	commandPatience = time.Hour
)

var sqlite = dialect{
	goose:    goose.DialectSQLite3,
	serial:   "INTEGER PRIMARY KEY AUTOINCREMENT",
	text:     "TEXT",
	versions: "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '" + goose.DefaultTablename + "'",
	revokedAfter: "SELECT number, revoked_at FROM grants WHERE revoked_at = $1 AND number > $2 " +
		"UNION ALL SELECT number, revoked_at FROM grants WHERE revoked_at > $1",
}

// openSQLite opens the file; with os.O_CREATE as the flag it makes one where there is none,
// with 0 it does not.
func openSQLite(ctx context.Context, path string, flag int) (*Store, error) {
	path, err := filepath.Abs(path) // to SQLite, some relative ones are not files: ":memory:" is none
	if err != nil {
		return nil, unavailable("open "+path, err)
	}
	if err := checkFile(path, flag); err != nil {
		return nil, err
	}
	patience := sqlitePatience
	if flag == 0 {
		patience = commandPatience
	}
	s := &Store{dialect: sqlite, write: pool{patience: patience}, read: pool{patience: patience}}
	if s.write.DB, err = sqlitePool(path, "immediate"); err != nil {
		return nil, unavailable("open "+path, err)
	}
	if s.read.DB, err = sqlitePool(path, "deferred"); err != nil {
		return nil, unavailable("open "+path, errors.Join(err, s.write.Close()))
	}
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(sqliteReaders)
	s.read.SetMaxIdleConns(sqliteReaders)
	if err := connect(ctx, s.write.DB); err != nil {
		return nil, unavailable("open "+path, errors.Join(err, s.Close()))
	}
	return s, nil
}

// sqlitePool makes a pool of connections to the file; lock says when a transaction takes
// the lock for writing.
func sqlitePool(path, lock string) (*sql.DB, error) {
	connector, err := driver.NewConnector(sqliteDSN(path, lock))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(preparing{connector}), nil
}

// connect makes the first connection. Programs that open a new file at the same moment
// disturb each other where they turn WAL on: SQLite does not wait for that lock.
func connect(ctx context.Context, db *sql.DB) error {
	for start := time.Now(); ; {
		err := db.PingContext(ctx)
		var reason *driver.Error
		if !errors.As(err, &reason) || reason.Code() != sqlite3.SQLITE_BUSY || time.Since(start) > busyTimeout {
			return err
		}
		time.Sleep(busyPause)
	}
}

// checkFile finds out early, and in plain words, what is wrong with a path. A file that it
// makes is its owner's alone: SQLite itself would let others read it. One that others can
// reach is refused, since it holds password hashes. What the file's group can do is for
// its owner to know: Kubernetes gives the files of a volume to the group of a pod.
func checkFile(path string, flag int) error {
	file, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if flag&os.O_CREATE == 0 && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w at %s", ErrNoDatabase, path)
	}
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return fmt.Errorf("%w: %s cannot be written: %w", ErrUnavailable, path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return unavailable("open "+path, err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%w: the mode of %s is %04o: run chmod 600 on it", ErrPermissions, path, mode)
	}
	return nil
}

// sqliteDSN is the driver's name of the file with what every connection is set to.
// Every commit is on the disk when it is answered, because a revocation that a power
// cut undoes is none.
func sqliteDSN(path, lock string) string {
	options := url.Values{
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock": {lock},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}
