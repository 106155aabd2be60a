package store_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// bouncer starts a PgBouncer in transaction mode until the end of the test. Where it is not installed, bouncer skips
// the test; with CI=true it fails it.
func bouncer(t *testing.T) *postgrestest.Bouncer {
	t.Helper()
	if testing.Short() {
		t.Skip("long test")
	}
	_ = postgresURL(t) // skips the test without PostgreSQL
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	b, err := server.Bouncer()
	if errors.Is(err, postgrestest.ErrNoBouncer) && os.Getenv("CI") != "true" {
		t.Skip("left out: PgBouncer is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// bounced returns the URL of a database through PgBouncer.
func bounced(t testing.TB, b *postgrestest.Bouncer, direct string) string {
	t.Helper()
	url, err := b.URL(direct)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// The conformance suite passes where each transaction gets another session.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	b := bouncer(t)
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) *store.Store {
			direct := migratedPostgres(t)
			return openPostgres(t, bounced(t, b, direct))
		})
	})
}

// Servers that start at once through PgBouncer and without it migrate a database once.
func TestPgBouncerMigratedByManyAtOnce(t *testing.T) {
	t.Parallel()
	b := bouncer(t)
	direct := postgresURL(t)
	urls := []string{direct, bounced(t, b, direct)}
	limits := databasetest.Pool
	limits.Connections = 2
	var servers sync.WaitGroup
	for i := range 8 {
		servers.Go(func() {
			s, err := store.Open(t.Context(), urls[i%2], limits)
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
	var twice int
	const query = "SELECT COUNT(*) - COUNT(DISTINCT version_id) FROM goose_db_version"
	s := openPostgres(t, direct)
	if err := s.Scan(t.Context(), query, &twice); err != nil || twice != 0 {
		t.Errorf("%d migrations ran twice, %v", twice, err)
	}
}
