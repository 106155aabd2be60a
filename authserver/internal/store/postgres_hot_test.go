package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// Refreshing daily for months writes no index of PostgreSQL, apart from the few times that a page is full: nearly every
// update of a grant is a HOT update. Otherwise each refresh would write all indexes, and vacuum would have to clean
// them. The server is that of this test: open transactions of others would keep it from removing old rows.
func TestPostgreSQLRotationsAreHOT(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t, sync.OnceValues(func() (*postgrestest.Server, error) {
		server, err := postgrestest.New()
		if err == nil {
			t.Cleanup(func() { _ = server.Close() })
		}
		return server, err
	}))
	s, err := store.Open(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const grants, days = 100, 45
	storetest.Rotate(t, s, grants, days)
	if err := s.Close(); err != nil { // PostgreSQL writes the statistics of a connection when it is closed
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const rotations = grants * days
	var updated, hot int
	waitUntil(t, "the statistics of all rotations", func() bool {
		err := db.QueryRowContext(t.Context(), "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "+
			"WHERE relname = 'grants'").Scan(&updated, &hot)
		if err != nil {
			t.Fatal(err)
		}
		return updated >= rotations
	})
	t.Logf("%d updates, %d of them HOT", updated, hot)
	if updated != rotations || hot < rotations*95/100 {
		t.Errorf("%d updates, %d of them HOT; want %d, at least 95 %% of them HOT", updated, hot, rotations)
	}
}

// waitUntil waits until a condition holds, for as long as the test may take.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("waiting for %s: %w", what, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
