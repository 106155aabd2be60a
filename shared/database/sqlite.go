package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	driver "modernc.org/sqlite" // without cgo
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders limits the connections that read at once. Each has its own page cache.
const sqliteReaders = 4

// busyPause is the time between two tries to take a lock, where SQLite itself does not wait for it.
const busyPause = 10 * time.Millisecond

// commandCallTimeout limits one call of a command, which may have a million rows to change.
const commandCallTimeout = time.Hour

// openSQLite opens the file for a server if flag is os.O_CREATE, which creates a missing file,
// and for a command if it is 0.
func openSQLite(ctx context.Context, path string, flag int, limits Pool) (*DB, error) {
	path, err := filepath.Abs(path) // SQLite gives some relative paths, like ":memory:", another meaning
	if err != nil {
		return nil, Unavailable("open "+path, err)
	}
	if err := checkFile(path, flag); err != nil {
		return nil, err
	}
	callTimeout := limits.callTimeout() // includes the wait for other writers
	if flag == 0 {
		callTimeout = commandCallTimeout
	}
	d := &DB{Engine: SQLite}
	if d.Write, err = sqlitePool(path, "immediate", callTimeout, limits); err != nil {
		return nil, Unavailable("open "+path, err)
	}
	if d.Read, err = sqlitePool(path, "deferred", callTimeout, limits); err != nil {
		return nil, Unavailable("open "+path, errors.Join(err, d.Write.Close()))
	}
	d.Write.SetMaxOpenConns(1)
	d.Read.SetMaxOpenConns(sqliteReaders)
	d.Read.SetMaxIdleConns(sqliteReaders)
	if err := connect(ctx, d.Write.DB, limits.StatementTimeout); err != nil {
		return nil, Unavailable("open "+path, errors.Join(err, d.Close()))
	}
	d.committer = newCommitter(d.Write)
	return d, nil
}

// sqlitePool returns a pool of connections to the file. Its transactions take the write lock
// when lock says: "immediate" or "deferred".
func sqlitePool(path, lock string, callTimeout time.Duration, limits Pool) (*Conns, error) {
	connector, err := driver.NewConnector(sqliteDSN(path, lock, limits.StatementTimeout))
	if err != nil {
		return nil, err
	}
	return &Conns{DB: sql.OpenDB(limits.wrap(connector)), CallTimeout: callTimeout, statements: &sync.Map{}}, nil
}

// connect opens the first connection. It retries for the time of wait if another program opens the same new file:
// SQLite does not wait for the lock that turning WAL on takes.
func connect(ctx context.Context, db *sql.DB, wait time.Duration) error {
	for start := time.Now(); ; {
		err := db.PingContext(ctx)
		var reason *driver.Error
		if !errors.As(err, &reason) || reason.Code() != sqlite3.SQLITE_BUSY || time.Since(start) > wait {
			return err
		}
		time.Sleep(busyPause)
	}
}

// checkFile checks that the file can be opened for writing, and creates it if flag says so,
// readable by its owner only. It returns ErrPermissions for a file that every user can read or
// write, since it may hold secrets. Group permissions are allowed: Kubernetes assigns the
// files of a volume to the group of a pod.
func checkFile(path string, flag int) error {
	file, err := os.OpenFile(path, os.O_RDWR|flag, 0o600) // does not wait for the other end of a pipe
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
		return Unavailable("open "+path, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file", ErrURL, path)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%w: the mode of %s is %04o: run chmod 600 on it", ErrPermissions, path, mode)
	}
	return nil
}

// sqliteDSN returns the data source name of the file with the settings of every connection, which waits for a lock
// for at most the time of wait. Every commit is synced to disk, so that a power failure cannot undo it.
func sqliteDSN(path, lock string, wait time.Duration) string {
	options := url.Values{
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds()),
			"journal_mode(WAL)",
			"foreign_keys(1)",
			"synchronous(FULL)",
		},
		"_txlock": {lock},
	}
	return sqliteName(path, options)
}

// sqliteName returns the data source name of a file.
func sqliteName(path string, options url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}
