package database_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// A backup has what was written before it, and opens by itself.
func TestBackUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, "sqlite:"+filepath.Join(dir, "test.db"), schema)
	if _, err := db.Exec(t.Context(), "insert", insert, "before"); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "it's a copy.db")
	if err := os.WriteFile(copied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.BackUp(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert", insert, "after"); err != nil {
		t.Fatal(err)
	}
	if err := db.BackUp(t.Context(), copied); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("a second backup to the same file: %v, want ErrUnavailable", err)
	}
	restored := open(t, "sqlite:"+copied, schema)
	if got := words(t, restored); len(got) != 1 || got[0] != "before" {
		t.Errorf("the backup has the words %v, want [before]", got)
	}
	if err := restored.CheckIntegrity(t.Context()); err != nil {
		t.Error(err)
	}
}

// A file that is open elsewhere cannot be locked, and one that is locked cannot be opened.
func TestLockSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if _, err := database.LockSQLite(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that does not exist: %v, want ErrNotExist", err)
	}
	db, err := database.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert", insert, "kept"); err != nil {
		t.Fatal(err)
	}
	if lock, err := database.LockSQLite(t.Context(), path); !errors.Is(err, database.ErrInUse) {
		t.Fatalf("an open file: %v, %v, want ErrInUse", lock, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	lock, err := database.LockSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := database.LockSQLite(t.Context(), path); !errors.Is(err, database.ErrInUse) {
		t.Errorf("a locked file: %v, %v, want ErrInUse", other, err)
	}
	if files, err := filepath.Glob(path + "-*"); len(files) > 0 || err != nil {
		t.Errorf("beside the locked file: %v, %v", files, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if got := words(t, open(t, "sqlite:"+path, schema)); len(got) != 1 {
		t.Errorf("after the lock: %v", got)
	}
}

// A damaged file can be locked unless it is open elsewhere. No file that SQLite can read counts as damaged.
func TestLockDamagedSQLite(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only on Linux")
	}
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, "sqlite:"+path, schema)
	if lock, err := database.LockDamagedSQLite(path); !errors.Is(err, database.ErrInUse) {
		t.Errorf("an open file: %v, %v, want ErrInUse", lock, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("text"), 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := database.LockSQLite(t.Context(), path); !errors.Is(err, database.ErrDamaged) {
		t.Errorf("text: %v, want ErrDamaged", err)
	}
	lock, err := database.LockDamagedSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := database.LockDamagedSQLite(path); !errors.Is(err, database.ErrInUse) {
		t.Errorf("a locked file: %v, %v, want ErrInUse", other, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if _, err := database.LockSQLite(t.Context(), folder); err == nil || errors.Is(err, database.ErrDamaged) {
		t.Errorf("a folder: %v, want another error than ErrDamaged", err)
	}
}
