package store_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, freshPostgres)
}

// A nested loop may run a subquery again for each row. Even then no more is taken than was asked for.
func TestPostgreSQLNestedLoops(t *testing.T) {
	t.Parallel()
	url := migratedPostgres(t)
	for _, other := range []string{"hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize"} {
		url += "&enable_" + other + "=off"
	}
	storetest.TakeNoMore(t, openPostgres(t, url))
}

func BenchmarkPostgreSQL(b *testing.B) { storetest.Bench(b, freshPostgres) }

func BenchmarkPostgreSQLRotations(b *testing.B) { storetest.BenchRotations(b, freshPostgres) }

func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		writeUntilKilled(path)
	}
	code := m.Run()
	if server, err := postgres(); err == nil {
		if err := server.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// postgres is the server of all tests. Each test has a database of its own.
var postgres = sync.OnceValues(postgrestest.Shared)

// postgresURL returns the URL of an empty database.
func postgresURL(t testing.TB) string {
	t.Helper()
	return postgrestest.Database(t, postgres)
}

// openPostgres opens the database until the end of the test.
func openPostgres(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, databasetest.Pool)
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

// migrated holds the URLs of empty databases whose schema is up to date. A test puts its
// database back, since creating one takes longer than most tests.
var migrated = make(chan string, 1000)

// migratedPostgres returns the URL of an empty database whose schema is up to date.
func migratedPostgres(t testing.TB) (url string) {
	t.Helper()
	select {
	case url = <-migrated:
		t.Cleanup(func() { empty(t, url) })
		return url
	default:
	}
	url = postgresURL(t)
	t.Cleanup(func() { empty(t, url) })
	s, err := store.Open(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Migrate(t.Context())
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return url
}

// freshPostgres opens an empty database whose schema is up to date.
func freshPostgres(t testing.TB) *store.Store {
	t.Helper()
	return openPostgres(t, migratedPostgres(t))
}

// empty deletes what a test has put into a database, and puts it back into migrated.
func empty(t testing.TB, url string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const deleteAll = `DO $$
DECLARE name text;
BEGIN
	SET LOCAL session_replication_role = replica; -- no foreign key sets the order
	FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
		EXECUTE 'DELETE FROM ' || quote_ident(name);
	END LOOP;
	INSERT INTO scopes (name, description) VALUES ('profile', 'See your name and your username');
END $$`
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), deleteAll); err != nil {
		t.Fatal(err)
	}
	migrated <- url
}

func TestPostgreSQLMigratedByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	var servers sync.WaitGroup
	for range 10 {
		servers.Go(func() {
			s, err := store.Open(t.Context(), url, databasetest.Pool)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	servers.Wait()
}

func TestPostgreSQLErrorsDoNotContainThePassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]error{
		"postgres://hallpass:geheim@127.0.0.1:1/x":                  store.ErrUnreachable,
		"postgres://hallpass:geheim@127.0.0.1:port/x":               store.ErrURL,
		"postgres://hallpass:geheim@127.0.0.1:1/x?sslmode=whatever": store.ErrURL,
	} {
		_, err := store.Open(t.Context(), url, databasetest.Pool)
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}

// A database that was made read-only can be read and not written.
func TestPostgreSQLReadOnly(t *testing.T) {
	t.Parallel()
	dsn := postgresURL(t)
	s := openPostgres(t, dsn)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetDefaultAPI(t.Context(), "https://api.example", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckWritable(t.Context()); err != nil {
		t.Error(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("default_transaction_read_only", "on")
	u.RawQuery = query.Encode()
	readOnly := openPostgres(t, u.String())
	if err := readOnly.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := readOnly.CheckWritable(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}
