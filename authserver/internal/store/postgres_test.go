package store_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

func TestPostgreSQL(t *testing.T) { storetest.Run(t, freshPostgres) }

func BenchmarkPostgreSQL(b *testing.B) { storetest.Bench(b, freshPostgres) }

func TestMain(m *testing.M) {
	code := m.Run()
	if server, err := postgres(); err == nil {
		if err := server.Close(); err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// postgres is the one server of all tests; each has a database of its own.
var postgres = sync.OnceValues(postgrestest.Shared)

// postgresURL makes an empty database.
func postgresURL(t testing.TB) string {
	t.Helper()
	return postgrestest.Database(t, postgres)
}

func freshPostgres(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), postgresURL(t), store.Pool{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Ten servers that start at once migrate once.
func TestPostgreSQLMigratesOnce(t *testing.T) {
	url := postgresURL(t)
	var servers sync.WaitGroup
	for range 10 {
		servers.Go(func() {
			s, err := store.Open(t.Context(), url, store.Pool{})
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

// A URL that cannot be used, and a server that does not answer, are told without the
// password.
func TestPostgreSQLErrorsHoldNoPassword(t *testing.T) {
	for url, want := range map[string]error{
		"postgres://hallpass:geheim@127.0.0.1:1/x":                  store.ErrUnreachable,
		"postgres://hallpass:geheim@127.0.0.1:port/x":               store.ErrURL,
		"postgres://hallpass:geheim@127.0.0.1:1/x?sslmode=whatever": store.ErrURL,
	} {
		_, err := store.Open(t.Context(), url, store.Pool{})
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}
