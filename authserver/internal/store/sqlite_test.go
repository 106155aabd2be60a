package store_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// TestSQLite runs the conformance suite. The statements that the suite runs are kept, and what it leaves in databases
// can be copied to PostgreSQL.
func TestSQLite(t *testing.T) {
	t.Parallel()
	version, err := freshSQLite(t).Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var recorder databasetest.Recorder
	copies := copies{rows: map[string]int64{}}
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) *store.Store {
			path := storetest.SQLite(t)
			if copiesHere() {
				to := freshPostgres(t)
				t.Cleanup(func() { copies.add(t, path, to) }) // called after the file was closed
			}
			s, err := store.OpenRecording(t.Context(), path, &recorder)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, s)
			return s
		})
	})
	t.Run("statements are kept", func(t *testing.T) { statementsAreKept(t, version, recorder.Statements()) })
	t.Run("all tables were copied", func(t *testing.T) {
		if testing.Short() {
			t.Skip("long test")
		}
		_ = postgresURL(t) // skips the test without PostgreSQL
		copies.checkAllTables(t)
	})
}

func BenchmarkSQLite(b *testing.B) { storetest.Bench(b, freshSQLite) }

func BenchmarkSQLiteRotations(b *testing.B) { storetest.BenchRotations(b, freshSQLite) }

// BenchmarkSQLiteUpdate measures what a database/sql program reaches that rotates refresh tokens with
// a prepared statement, one after the other.
func BenchmarkSQLiteUpdate(b *testing.B) {
	path := storetest.SQLite(b)
	const dsn = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	db := raw(b, "file:"+path+dsn)
	_, err := db.ExecContext(b.Context(), "INSERT INTO grants (type, scope, created_at, expires_at, refresh_digest, "+
		"refresh_expires_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "+
		"SELECT 'password', 'profile', 0, i, 'x', 2 FROM n")
	if err != nil {
		b.Fatal(err)
	}
	update, err := db.PrepareContext(b.Context(), "UPDATE grants SET refresh_digest = $3, refresh_trail = $4, "+
		"expires_at = $5, refresh_expires_at = $7 "+
		"WHERE number = $1 AND refresh_digest = $2 AND revoked_at IS NULL AND refresh_expires_at > $6")
	if err != nil {
		b.Fatal(err)
	}
	defer update.Close()
	trail := strings.Repeat("x", 150)
	for i := 0; b.Loop(); i++ {
		if _, err := update.ExecContext(b.Context(), 1+i%100, "x", "x", trail, i, 1, i); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
}

// freshSQLite opens a new database whose schema is up to date.
func freshSQLite(t testing.TB) *store.Store {
	t.Helper()
	return mustOpen(t, storetest.SQLite(t))
}

// mustOpen opens the database in a file until the end of the test.
func mustOpen(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

// closeAtEnd closes a store of SQLite at the end of the test.
func closeAtEnd(t testing.TB, s *store.Store) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		// database/sql closes a connection that it was opening later than Close, and until then
		// SQLite may create files in the folder that the test removes.
		for end := time.Now().Add(patience); s.OpenConnections() > 0; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%d connections are still open", s.OpenConnections())
			}
		}
	})
}

// addUser adds a user to the database.
func addUser(t *testing.T, s *store.Store, username string) {
	t.Helper()
	u, err := account.New(username, username, "hash", time.Now())
	if err == nil {
		err = s.CreateUser(t.Context(), u)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The files hold password hashes, so only their owner can read them, whatever the umask is.
func TestSQLiteFilesArePrivate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "hallpass.db")
	s := mustOpen(t, path)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	addUser(t, s, "john.doe")
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
}

// A file that every user can read or write is rejected and not changed. Group permissions are
// allowed.
func TestSQLiteFilePermissions(t *testing.T) {
	for mode, allowed := range map[fs.FileMode]bool{
		0o600: true, 0o640: true, 0o660: true,
		0o644: false, 0o666: false, 0o604: false, 0o602: false, 0o601: false,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hallpass.db")
			s := mustOpen(t, path)
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			chmod(t, path, mode)
			for _, open := range []func(context.Context, string, store.Pool) (*store.Store, error){
				store.Open, store.OpenExisting,
			} {
				s, err := open(t.Context(), "sqlite:"+path, databasetest.Pool)
				if allowed && err == nil {
					err = s.Ping(t.Context())
					_ = s.Close()
				}
				if allowed && err != nil {
					t.Error(err)
				}
				if !allowed && !errors.Is(err, store.ErrPermissions) {
					t.Errorf("error %v, want ErrPermissions", err)
				}
				if !allowed && !(contains(err, path) && contains(err, "chmod 600")) {
					t.Errorf("error %v, want the path %s and chmod 600 in it", err, path)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
				t.Errorf("the mode was changed to %v, %v", info.Mode(), err)
			}
		})
	}
}

// A path is only a file name, even if it has a special meaning for SQLite or in a URL.
func TestSQLiteOddPaths(t *testing.T) {
	names := []string{
		"with space", "question?mark=1", "hash#mark", "per%cent", "per%41cent", "semi;colon", "amp&ersand",
		"plus+plus", "quote'quote", "colon:colon", ":memory:", "file:name", "ünïcödé 😀", "?", "#", "%", "new\nline",
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			keepsData(t, name, name)
		})
	}
	for _, slashes := range []string{"", "/", "//"} {
		t.Run("absolute "+slashes, func(t *testing.T) {
			keepsData(t, slashes+t.TempDir()+"/"+slashes+"hallpass #1.db", "hallpass #1.db")
		})
	}
}

// keepsData checks that data written through the path is in the file with this name in the
// path's directory, and can be read through the path again.
func keepsData(t *testing.T, path, name string) {
	t.Helper()
	dir := filepath.Dir(path)
	before := entries(t, dir)
	for i := range 2 {
		s, err := store.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			addUser(t, s, "john.doe")
		}
		if _, err := s.UserByUsername(t.Context(), "john.doe"); err != nil {
			t.Errorf("open %d: %v", i+1, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	want := append(before, name)
	slices.Sort(want)
	if diff := cmp.Diff(want, entries(t, dir)); diff != "" {
		t.Errorf("files in the directory (-want +got):\n%s", diff)
	}
}

// contains reports whether err is an error whose text contains text.
func contains(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestSQLiteUnusablePaths(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string) (path string)
		says string
	}{
		{"a directory", func(_ *testing.T, dir string) string { return dir }, "is a directory"},
		{"in a directory that does not exist", func(_ *testing.T, dir string) string {
			return filepath.Join(dir, "no", "hallpass.db")
		}, "no such file or directory"},
		{"below a file", func(t *testing.T, dir string) string {
			return filepath.Join(file(t, dir, "x", 0o600), "hallpass.db")
		}, "not a directory"},
		{"with a NUL", func(_ *testing.T, dir string) string {
			return filepath.Join(dir, "hall\x00pass.db")
		}, "invalid argument"},
		{"in a directory that is not writable", func(t *testing.T, dir string) string {
			chmod(t, dir, 0o555)
			return filepath.Join(dir, "hallpass.db")
		}, "permission denied"},
		{"a file that is not writable", func(t *testing.T, dir string) string {
			return file(t, dir, "", 0o444)
		}, "permission denied"},
		{"a file in a directory that is not writable", func(t *testing.T, dir string) string {
			path := file(t, dir, "", 0o660)
			chmod(t, dir, 0o555)
			return path
		}, "readonly database"},
		{"not a database", func(t *testing.T, dir string) string {
			return file(t, dir, strings.Repeat("not a database\n", 100), 0o660)
		}, "file is not a database"},
		{"too short for a database", func(t *testing.T, dir string) string {
			return file(t, dir, "not a database", 0o660)
		}, "file is not a database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			chmod(t, filepath.Dir(dir), 0o755)
			chmod(t, dir, 0o777)
			path := tt.make(t, dir)
			before, _ := os.ReadFile(path)
			unprivileged(t, func() {
				_, err := store.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
				if !errors.Is(err, store.ErrUnavailable) || !contains(err, tt.says) || !contains(err, path) {
					t.Errorf("error %v, want ErrUnavailable with %q and %q in it", err, path, tt.says)
				}
			})
			after, _ := os.ReadFile(path)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the file was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func file(t *testing.T, dir, text string, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(dir, "hallpass.db")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
	return path
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// raw opens the file as another program may do.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestSQLiteLockedByAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	s := mustOpen(t, path)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	addUser(t, s, "john.doe")
	if err := s.SetBusyTimeout(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	other := raw(t, path)
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := s.EnableUser(t.Context(), "john.doe", time.Now()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a statement while another program has the lock: %v, want ErrUnavailable", err)
	}
	if err := s.DisableUser(t.Context(), "john.doe", time.Now()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a transaction while another program has the lock: %v, want ErrUnavailable", err)
	}
	if u, err := s.UserByUsername(t.Context(), "john.doe"); err != nil || !u.Active() {
		t.Errorf("a read while another program has the lock: %+v, %v", u, err)
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.DisableUser(t.Context(), "john.doe", time.Now()); err != nil {
		t.Errorf("a transaction after the lock was released: %v", err)
	}
}

// A writer waits for another program to release the lock.
func TestSQLiteWaitsForALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	first, second := mustOpen(t, path), mustOpen(t, path)
	if _, err := first.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i, s := range []*store.Store{first, second} {
		group.Go(func() {
			for n := range 25 {
				key := account.NewFailureKey(string(rune('a'+i))+string(rune('a'+n)), "192.0.2.1")
				if _, err := s.ReserveTry(t.Context(), key, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestSQLiteNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	s := mustOpen(t, path)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	addUser(t, s, "john.doe")
	const newer = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"
	if _, err := raw(t, path).ExecContext(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	_, err := s.Migrate(t.Context())
	if !errors.Is(err, store.ErrNewerSchema) || !contains(err, "99999") {
		t.Errorf("error %v, want ErrNewerSchema with the version in it", err)
	}
	if _, err := s.UserByUsername(t.Context(), "john.doe"); err != nil {
		t.Errorf("the data was changed: %v", err)
	}
}

func TestSQLiteMigratedByManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hallpass.db")
	const programs = 10
	begin := make(chan struct{})
	var group sync.WaitGroup
	for range programs {
		group.Go(func() {
			<-begin
			s, err := store.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if version, err := s.Migrate(t.Context()); err != nil || version < 1 {
				t.Errorf("version %d, %v", version, err)
			}
		})
	}
	close(begin)
	group.Wait()

	const repeated = "SELECT COUNT(*) FROM " +
		"(SELECT version_id FROM goose_db_version GROUP BY version_id HAVING COUNT(*) > 1)"
	var twice int
	err := raw(t, path).QueryRowContext(t.Context(), repeated).Scan(&twice)
	if err != nil || twice != 0 {
		t.Errorf("%d versions were applied twice, %v", twice, err)
	}
}
