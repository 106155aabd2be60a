package database_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

func TestMain(m *testing.M) { databasetest.Main(m) }

// schema is a list of migrations.
var schema = fstest.MapFS{
	"00001_words.sql": {Data: []byte("CREATE TABLE words (id {{serial}}, word {{text}} NOT NULL UNIQUE)")},
	"00002_use.sql":   {Data: []byte("ALTER TABLE words ADD COLUMN uses BIGINT NOT NULL DEFAULT 0")},
}

// open opens a database and migrates it to the schema.
func open(t *testing.T, url string, files fs.FS) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Migrate(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	return db
}

const insert = "INSERT INTO words (word) VALUES ($1)"

func words(t *testing.T, db *database.DB) []string {
	t.Helper()
	scan := func(r database.Row) (word string, err error) { return word, r.Scan(&word) }
	list, err := database.List(t.Context(), db.Read, "list", scan, "SELECT word FROM words ORDER BY word")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url, fstest.MapFS{"00001_words.sql": schema["00001_words.sql"]})
		if _, err := db.Schema(t.Context(), schema); !errors.Is(err, database.ErrOlderSchema) {
			t.Errorf("before the migration: %v, want ErrOlderSchema", err)
		}
		if version, err := db.Migrate(t.Context(), schema); version != 2 || err != nil {
			t.Errorf("version %d, %v", version, err)
		}
		if version, err := db.Schema(t.Context(), schema); version != 2 || err != nil {
			t.Errorf("version %d, %v", version, err)
		}
		older := fstest.MapFS{"00001_words.sql": schema["00001_words.sql"]}
		if _, err := db.Migrate(t.Context(), older); !errors.Is(err, database.ErrNewerSchema) {
			t.Errorf("an older program: %v, want ErrNewerSchema", err)
		}
		if err := db.CheckWritable(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A database without tables has an older schema, and asking for its version changes nothing.
func TestSchemaOfEmptyDatabase(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		db, err := database.Open(t.Context(), url, databasetest.Pool)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for range 2 {
			if _, err := db.Schema(t.Context(), schema); !errors.Is(err, database.ErrOlderSchema) {
				t.Errorf("%v, want ErrOlderSchema", err)
			}
		}
	})
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		var programs sync.WaitGroup
		for range 8 {
			programs.Go(func() {
				db, err := database.Open(t.Context(), url, databasetest.Pool)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if version, err := db.Migrate(t.Context(), schema); version != 2 || err != nil {
					t.Errorf("version %d, %v", version, err)
				}
			})
		}
		programs.Wait()
	})
}

// Of writes at the same time, those that fail change nothing, and the others are committed.
func TestWritesAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url, schema)
		refused := errors.New("refused")
		var writes sync.WaitGroup
		for i := range 100 {
			writes.Go(func() {
				word := string(rune('a'+i%26)) + string(rune('a'+i/26))
				err := db.InTx(t.Context(), "write", func(ctx context.Context, tx database.Tx) error {
					if _, err := database.Changed(ctx, tx, "insert", insert, word); err != nil || i%10 != 0 {
						return err
					}
					return refused
				})
				if (i%10 == 0) != errors.Is(err, refused) || i%10 != 0 && err != nil {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		writes.Wait()
		if got := words(t, db); len(got) != 90 {
			t.Errorf("%d words, want 90: %v", len(got), got)
		}
	})
}

// A panic of the steps reaches the caller, and the next write works.
func TestPanic(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url, schema)
		func() {
			defer func() {
				if reason, _ := recover().(string); !strings.Contains(reason, "on purpose") {
					t.Errorf("panic %q", reason)
				}
			}()
			_ = db.InTx(t.Context(), "write", func(context.Context, database.Tx) error { panic("on purpose") })
		}()
		if n, err := db.Exec(t.Context(), "insert", insert, "a"); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		db, err := database.Open(t.Context(), url, databasetest.Pool)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Migrate(t.Context(), schema); err != nil {
			t.Fatal(err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = db.Exec(canceled, "insert", insert, "a")
		if !errors.Is(err, database.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), "insert", insert, "a"); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("closed: %v", err)
		}
		_, err = db.Migrate(t.Context(), schema)
		if !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("closed: %v", err)
		}
	})
}

// The recorder sees each statement once, also those of transactions.
func TestRecorder(t *testing.T) {
	t.Parallel()
	var recorder databasetest.Recorder
	url := databasetest.URL(t, database.SQLite)
	open(t, url, schema)
	db, err := database.Open(t.Context(), url, databasetest.Wrapped(recorder.Wrap))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, word := range []string{"a", "b"} {
		if _, err := db.Exec(t.Context(), "insert", insert, word); err != nil {
			t.Fatal(err)
		}
	}
	if got := recorder.Statements(); !slices.Equal(got, []string{insert}) {
		t.Errorf("statements %q", got)
	}
}
