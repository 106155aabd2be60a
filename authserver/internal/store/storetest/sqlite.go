package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// SQLite returns the path of a new SQLite file whose schema is up to date.
func SQLite(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hallpass.db")
	if err := WriteSQLite(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// WriteSQLite writes a SQLite file whose schema is up to date. All files of a process are copies of one, because
// migrating takes longer than most tests. It is safe for concurrent use.
func WriteSQLite(path string) error {
	content, err := migrated()
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// migrated returns the content of a file that was migrated.
var migrated = sync.OnceValues(func() (content []byte, err error) {
	folder, err := os.MkdirTemp("", "hallpass")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	ctx, path := context.Background(), filepath.Join(folder, "hallpass.db")
	s, err := store.Open(ctx, "sqlite:"+path, databasetest.Pool)
	if err != nil {
		return nil, err
	}
	_, err = s.Migrate(ctx)
	if err = errors.Join(err, s.Close()); err != nil { // Close moves the write-ahead log into the file
		return nil, err
	}
	return os.ReadFile(path)
})
