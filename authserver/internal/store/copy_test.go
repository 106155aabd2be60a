package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// Everything that the conformance suite leaves in a SQLite database can be copied to PostgreSQL. All tables that
// this version writes to have rows in one of the tests.
func TestCopyFile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long test")
	}
	var mu sync.Mutex
	rows := map[string]int64{}
	open := func(t testing.TB) *store.Store {
		to, path := freshPostgres(t), storetest.SQLite(t)
		t.Cleanup(func() {
			if t.Failed() || t.Skipped() {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, copied := range copyFile(t, path, to) {
				rows[copied.Name] += copied.Rows
			}
		})
		return mustOpen(t, path)
	}
	t.Run("suite", func(t *testing.T) { storetest.Run(t, open) })
	for _, earlier := range []string{"failed_logins", "consents"} { // of earlier versions
		delete(rows, earlier)
	}
	if len(rows) < 20 {
		t.Errorf("only %d tables were copied", len(rows))
	}
	for name, n := range rows {
		if n == 0 {
			t.Errorf("no test has rows in table %s", name)
		}
	}
}

// copyFile copies a file that the test has closed.
func copyFile(t testing.TB, path string, to *store.Store) []database.CopiedTable {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	lock, err := database.LockSQLite(ctx, path)
	if err != nil {
		t.Error(err)
		return nil
	}
	copied, err := store.CopyFile(ctx, lock, to, nil)
	if err = errors.Join(err, lock.Close()); err != nil {
		t.Error(err)
	}
	return copied
}
