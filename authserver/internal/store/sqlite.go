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

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go alone
)

// sqliteReaders is how many connections read at once. Each holds its own page
// cache, so there are few.
const sqliteReaders = 4

var sqlite = dialect{goose: goose.DialectSQLite3, serial: "INTEGER PRIMARY KEY AUTOINCREMENT", text: "TEXT"}

func openSQLite(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path) // to SQLite, some relative ones are not files: ":memory:" is none
	if err != nil {
		return nil, unavailable("open "+path, err)
	}
	if err := createPrivately(path); err != nil {
		return nil, err
	}
	s := &Store{dialect: sqlite}
	if s.write, err = sql.Open("sqlite", sqliteDSN(path, "immediate")); err != nil {
		return nil, unavailable("open "+path, err)
	}
	if s.read, err = sql.Open("sqlite", sqliteDSN(path, "deferred")); err != nil {
		return nil, unavailable("open "+path, errors.Join(err, s.write.Close()))
	}
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(sqliteReaders)
	s.read.SetMaxIdleConns(sqliteReaders)
	if err := s.write.PingContext(ctx); err != nil {
		return nil, unavailable("open "+path, errors.Join(err, s.Close()))
	}
	return s, nil
}

// createPrivately makes the file if there is none, for its owner alone: SQLite
// itself would let others read it. It also finds out early, and in plain words,
// what is wrong with a path.
func createPrivately(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return fmt.Errorf("%w: %s cannot be written: %w", ErrUnavailable, path, err)
	}
	return file.Close()
}

// sqliteDSN is the driver's name of the file with what every connection is set to.
// Writers wait for each other up to five seconds; every commit is on the disk when
// it is answered, because a revocation that a power cut undoes is none.
func sqliteDSN(path, lock string) string {
	options := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(FULL)"},
		"_txlock": {lock},
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}
