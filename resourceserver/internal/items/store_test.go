package items_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

var update = flag.Bool("update", false, "write testdata/statements for the current schema")

func TestMain(m *testing.M) { databasetest.Main(m) }

var (
	john  = items.Owner{ID: "usr_john", Name: "john.doe"}
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	draft = items.Draft{Title: "Buy milk"}
)

// open opens a store until the end of the test.
func open(t *testing.T, url string, limits database.Pool) *items.Store {
	t.Helper()
	s, err := items.Open(t.Context(), url, limits, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs a statement in the database, past the store.
func run(t *testing.T, url, statement string, args ...any) {
	t.Helper()
	db, err := database.OpenExisting(t.Context(), url, database.Pool{StatementTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), "fill", statement, args...); err != nil {
		t.Fatal(err)
	}
}

// fill adds items with the numbers 10, 20, ... to owners that have none.
func fill(t *testing.T, url string, owners, itemsEach int) {
	t.Helper()
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT)) "
	run(t, url, "INSERT INTO owners (owner, name, next_number, items) "+numbers+
		"SELECT 'usr_' || i, 'user ' || i, 1, CAST($2 AS BIGINT) FROM n", owners, itemsEach)
	run(t, url, "INSERT INTO items (owner, number, title, note, folded, tag, created_at, updated_at) "+numbers+
		"SELECT owners.owner, i * 10, 'stays', '', 'stays', 'x', 0, 0 FROM n CROSS JOIN owners", itemsEach)
}

func TestTooManyItems(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, databasetest.Pool)
		fill(t, url, 1, items.MaxItems)
		owner := items.Owner{ID: "usr_1"}
		change := func(*items.Item) (items.Draft, error) { return draft, nil }
		_, err := s.Create(t.Context(), owner, draft, items.Key{}, start)
		if !errors.Is(err, items.ErrTooMany) {
			t.Errorf("create: %v, want ErrTooMany", err)
		}
		if _, _, err := s.Write(t.Context(), owner, 1, items.Condition{}, change, start); !errors.Is(err, items.ErrTooMany) {
			t.Errorf("write of a new item: %v, want ErrTooMany", err)
		}
		if _, _, err := s.Write(t.Context(), owner, 10, items.Condition{}, change, start); err != nil {
			t.Errorf("write of an old item: %v", err)
		}
		if err := s.Delete(t.Context(), owner.ID, 20, items.Condition{}); err != nil {
			t.Fatal(err)
		}
		if i, err := s.Create(t.Context(), owner, draft, items.Key{}, start); err != nil || i.Number != 1 {
			t.Errorf("create after a deletion: %+v, %v", i, err)
		}
		if _, err := s.Create(t.Context(), john, draft, items.Key{}, start); err != nil {
			t.Errorf("create for another owner: %v", err)
		}
	})
}

// The number of a new item is found although the owner has items at all numbers from one on.
func TestNumbersAfterManyItems(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, databasetest.Pool)
		fill(t, url, 1, 1000)
		run(t, url, "UPDATE items SET number = number / 10 + 5")
		for _, want := range []int64{1, 2, 3, 4, 5, 1006, 1007} {
			i, err := s.Create(t.Context(), items.Owner{ID: "usr_1"}, draft, items.Key{}, start)
			if err != nil || i.Number != want {
				t.Errorf("item %d, %v; want %d", i.Number, err, want)
			}
		}
	})
}

// Keys are remembered for a day, and only so many of them.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, databasetest.Pool)
		key, err := items.NewKey("key", draft)
		if err != nil {
			t.Fatal(err)
		}
		create := func(key items.Key, now time.Time) (items.Item, error) {
			return s.Create(t.Context(), john, draft, key, now)
		}
		first, err := create(key, start)
		if err != nil {
			t.Fatal(err)
		}
		same, err := create(key, start.Add(items.KeyLifetime-time.Second))
		if diff := cmp.Diff(first, same); err != nil || diff != "" {
			t.Errorf("within a day: %v (-first +replay):\n%s", err, diff)
		}
		later := start.Add(items.KeyLifetime)
		if second, err := create(key, later); err != nil || second.Number == first.Number {
			t.Errorf("after a day: %+v, %v", second, err)
		}
		run(t, url, "INSERT INTO idempotency_keys (owner, digest, request, number, tag, created_at, expires_at) "+
			"WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT)) "+
			"SELECT 'usr_john', 'x' || i, 'x', 1, 'x', 0, CAST($2 AS BIGINT) FROM n",
			items.MaxKeys, later.Add(time.Hour).Unix())
		other, err := items.NewKey("other", draft)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create(other, later); !errors.Is(err, items.ErrTooManyKeys) {
			t.Errorf("%d keys: %v, want ErrTooManyKeys", items.MaxKeys, err)
		}
		if _, err := create(key, later); err != nil {
			t.Errorf("a replay: %v", err)
		}
		if _, err := create(items.Key{}, later); err != nil {
			t.Errorf("without a key: %v", err)
		}
		if _, err := create(other, later.Add(time.Hour)); err != nil {
			t.Errorf("after the others have expired: %v", err)
		}
	})
}

// Everybody's items are read by pages while others write and delete: each item that stays is listed once.
func TestManyPagesUnderWrites(t *testing.T) {
	t.Parallel()
	owners := 10
	if testing.Short() {
		owners = 1
	}
	const each = 10_000
	databasetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, databasetest.Pool)
		fill(t, url, owners, each)
		run(t, url, "UPDATE owners SET items = 0") // the writers need room
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() { comeAndGo(ctx, t, s, w, owners, each) })
		}
		seen := make(map[items.Position]int, owners*each)
		from := items.Start
		for {
			page, next, err := s.List(t.Context(), items.Query{From: from, Limit: 100})
			if err != nil {
				t.Error(err)
				break
			}
			for _, i := range page {
				seen[items.Position{Owner: i.Owner.ID, Number: i.Number}]++
			}
			if next == nil {
				break
			}
			from = *next
		}
		cancel()
		writers.Wait()
		stayed := 0
		for p, n := range seen {
			if n != 1 {
				t.Errorf("item %v was listed %d times", p, n)
			}
			if p.Number%10 == 0 {
				stayed++
			}
		}
		if stayed != owners*each {
			t.Errorf("%d items were listed of %d that stayed", stayed, owners*each)
		}
	})
}

// comeAndGo writes and deletes items between those that stay, until ctx ends.
func comeAndGo(ctx context.Context, t *testing.T, s *items.Store, writer, owners, each int) {
	change := func(*items.Item) (items.Draft, error) { return draft, nil }
	for i := 0; ctx.Err() == nil; i++ {
		owner := items.Owner{ID: fmt.Sprintf("usr_%d", 1+(i*7+writer)%owners)}
		number := int64(i*131%each)*10 + 1 + int64(writer)
		_, _, err := s.Write(ctx, owner, number, items.Condition{}, change, start)
		if err == nil {
			err = s.Delete(ctx, owner.ID, number, items.Condition{})
		}
		if err != nil && ctx.Err() == nil {
			t.Errorf("writer %d: %v", writer, err)
			return
		}
	}
}

// A store opens as soon as its database can be reached, and goes on after an outage.
func TestDatabaseComesBack(t *testing.T) {
	t.Parallel()
	server, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrNotInstalled) {
		t.Skip("left out: PostgreSQL is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	stop(t, server)
	s := open(t, url, databasetest.Pool)
	if _, err := s.Get(t.Context(), john.ID, 1); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("before the server runs: %v, want ErrUnavailable", err)
	}
	for range 2 {
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		err := database.ErrUnavailable
		for end := time.Now().Add(5 * time.Minute); err != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			_, err = s.Create(t.Context(), john, draft, items.Key{}, start)
		}
		if err != nil {
			t.Errorf("while the server runs: %v", err)
		}
		stop(t, server)
		if err := s.Ping(t.Context()); !errors.Is(err, database.ErrUnavailable) {
			t.Errorf("after the server has stopped: %v, want ErrUnavailable", err)
		}
	}
}

func stop(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

// A database that another version has migrated further is refused.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		open(t, url, databasetest.Pool)
		run(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, CAST(1 AS BOOLEAN))")
		_, err := items.Open(t.Context(), url, databasetest.Pool, slog.Default())
		if !errors.Is(err, database.ErrNewerSchema) {
			t.Errorf("%v, want ErrNewerSchema", err)
		}
	})
}

// Servers of the previous version keep running while a new version migrates the schema. So the statements of
// each version are kept in testdata/statements/VERSION.sql, and must be valid in the current schema.
func TestStatements(t *testing.T) {
	t.Parallel()
	var recorder databasetest.Recorder
	url := databasetest.URL(t, database.SQLite)
	open(t, url, databasetest.Pool)
	useAll(t, open(t, url, databasetest.Wrapped(recorder.Wrap)))
	const file = "testdata/statements/00001.sql"
	got := strings.Join(recorder.Statements(), ";\n") + ";\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), ";\n"), strings.Split(got, ";\n")); diff != "" {
		t.Errorf("statements differ from %s (-kept +run); go test -update writes them:\n%s", file, diff)
	}
}

// useAll calls every method of a store that runs statements, in every way that has statements of its own.
func useAll(t *testing.T, s *items.Store) {
	t.Helper()
	ctx := t.Context()
	key, err := items.NewKey("key", draft)
	if err != nil {
		t.Fatal(err)
	}
	change := func(*items.Item) (items.Draft, error) { return draft, nil }
	for range 2 {
		_, _, err := s.Write(ctx, john, 1, items.Condition{}, change, start)
		_, createErr := s.Create(ctx, john, draft, key, start)
		_, getErr := s.Get(ctx, john.ID, 1)
		if err := errors.Join(err, createErr, getErr, s.Ping(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []items.Query{{}, {Owner: "x"}, {Text: "x"}, {Owner: "x", Text: "x"}} {
		if _, _, err := s.List(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(ctx, john.ID, 1, items.Condition{}); err != nil {
		t.Fatal(err)
	}
	refused := func(*items.Item) (items.Draft, error) { return items.Draft{}, items.ErrNotFound }
	if _, _, err := s.Write(ctx, john, 2, items.Condition{}, refused, start); !errors.Is(err, items.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestStatementsOfEarlierVersionsFitTheSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/statements/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/statements has no files: %v", err)
	}
	url := databasetest.URL(t, database.SQLite) // the statements are those of SQLite
	open(t, url, databasetest.Pool)
	db, err := database.OpenExisting(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, file := range files {
		databasetest.CheckStatements(t, db, file)
	}
}
