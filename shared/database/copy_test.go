package database_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// library is a schema in which tables reference each other against the order of their names.
var library = fstest.MapFS{"00001_library.sql": {Data: []byte(`
CREATE TABLE readers (name {{text}} PRIMARY KEY, born BIGINT);
CREATE TABLE books (number {{serial}}, title {{text}} NOT NULL, reader {{text}} REFERENCES readers (name));
CREATE TABLE defaults (name {{text}} PRIMARY KEY, value {{text}});
INSERT INTO defaults (name, value) VALUES ('language', 'en');
`)}}

// libraryFile makes a SQLite database with more books than are reported at once. The last book was deleted.
func libraryFile(t *testing.T, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.db")
	db, err := database.Open(t.Context(), "sqlite:"+path, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context(), library); err != nil {
		t.Fatal(err)
	}
	for _, statement := range append([]string{
		"INSERT INTO readers (name, born) VALUES ('Ada', 1815), ('Bea ''\"\\', NULL), ('', -1)",
		"WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 6000) " +
			"INSERT INTO books (title, reader) SELECT 'Book ' || n, 'Ada' FROM n",
		"UPDATE books SET reader = NULL, title = 'Größe' || char(10) WHERE number % 2 = 0",
		"DELETE FROM books WHERE number > 5990",
		"UPDATE defaults SET value = 'de'",
	}, statements...) {
		if _, err := db.Exec(t.Context(), "fill", statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func lockFile(t *testing.T, path string) *database.SQLiteLock {
	t.Helper()
	lock, err := database.LockSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
	})
	return lock
}

// A copy has all rows, and its next row has the number that it would have in the original.
func TestCopyTo(t *testing.T) {
	t.Parallel()
	to := open(t, databasetest.URL(t, database.PostgreSQL), library)
	var seen []database.CopyProgress
	copied, err := lockFile(t, libraryFile(t)).CopyTo(t.Context(), to, []string{"readers", "books"},
		func(p database.CopyProgress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(copied); got != "[{defaults 1} {readers 3} {books 5990}]" {
		t.Errorf("copied: %s", got)
	}
	if want := (database.CopyProgress{Doing: "check", Table: "books", Done: 10_000, Total: 11_988}); len(seen) != 2 ||
		seen[1] != want {
		t.Errorf("progress: %+v, want two with %+v at the end", seen, want)
	}
	if _, err := to.Exec(t.Context(), "insert", "INSERT INTO books (title) VALUES ('next')"); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT CAST(number AS TEXT) FROM books WHERE title = 'next'":                                  "6001",
		"SELECT title || reader FROM books WHERE number = 11":                                          "Book 11Ada",
		"SELECT title || COALESCE(reader, '-') FROM books WHERE number = 12":                           "Größe\n-",
		"SELECT string_agg(name || COALESCE(CAST(born AS TEXT), '-'), ',' ORDER BY name) FROM readers": `-1,Ada1815,Bea '"\-`,
		"SELECT value FROM defaults":                                                                   "de",
	} {
		var got string
		if err := to.Read.ScanRow(t.Context(), query, nil, &got); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", query, got, err, want)
		}
	}
}

// deferred is a trigger that is run by the commit. The body of its function follows.
const deferred = "CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'; " +
	"CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON readers DEFERRABLE INITIALLY DEFERRED " +
	"FOR EACH ROW EXECUTE FUNCTION at_commit(); " +
	"CREATE OR REPLACE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS "

// A copy that fails changes nothing.
func TestCopyToFails(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	for name, tt := range map[string]struct {
		ctx      context.Context
		in       string // statement on the original
		at       string // statement on the target
		progress func(database.CopyProgress)
		want     error
		reason   string
	}{
		"not empty": {at: "INSERT INTO readers (name) VALUES ('Cleo')", want: database.ErrNotEmpty, reason: "readers"},
		"NUL": {in: "UPDATE readers SET name = 'A' || char(0) WHERE name = ''", want: database.ErrUnavailable,
			reason: "copy table readers"},
		"another type": {in: "UPDATE readers SET born = 'long ago' WHERE name = ''", want: database.ErrUnavailable,
			reason: "copy table readers"},
		"bytes": {in: "UPDATE readers SET name = x'00ff' WHERE name = ''", want: database.ErrUnavailable,
			reason: "copy table readers"},
		"a trigger changes rows": {at: `CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN NEW.title := NEW.title || '!'; RETURN NEW; END $$;
			CREATE TRIGGER other BEFORE INSERT ON books FOR EACH ROW EXECUTE FUNCTION other()`,
			want: database.ErrCopyDiffers, reason: "table books"},
		"a trigger drops rows": {at: `CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RETURN CASE WHEN NEW.number > 1 THEN NEW END; END $$;
			CREATE TRIGGER other BEFORE INSERT ON books FOR EACH ROW EXECUTE FUNCTION other()`,
			want: database.ErrCopyDiffers, reason: "5990 written and 5989 read back"},
		"refused at the commit": {at: deferred + "$$ BEGIN RAISE 'no'; END $$", want: database.ErrUnavailable,
			reason: "commit"},
		"no connection at the commit": {
			at:   deferred + "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
			want: database.ErrCopyUnknown,
		},
		"canceled": {ctx: canceled, progress: func(database.CopyProgress) { cancel() }, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := open(t, databasetest.URL(t, database.PostgreSQL), library)
			if _, err := to.Write.ExecContext(t.Context(), "SELECT 1; "+tt.at); err != nil {
				t.Fatal(err)
			}
			statements := []string{tt.in}
			if tt.in == "" {
				statements = nil
			}
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx
			}
			_, err := lockFile(t, libraryFile(t, statements...)).CopyTo(ctx, to, []string{"readers"}, tt.progress)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.reason) {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.reason)
			}
			var value string
			query := "SELECT value || (SELECT COUNT(*) FROM books) FROM defaults"
			if err := to.Read.ScanRow(t.Context(), query, nil, &value); err != nil || value != "en0" {
				t.Errorf("the target has %q, %v, want what it had", value, err)
			}
		})
	}
}
