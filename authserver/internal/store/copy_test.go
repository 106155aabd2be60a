package store_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// copies counts the rows that were copied from SQLite to PostgreSQL, by table.
type copies struct {
	mu   sync.Mutex
	rows map[string]int64
}

// copiesHere reports whether files are copied to PostgreSQL: not with -short, and not where PostgreSQL is missing.
func copiesHere() bool {
	_, err := postgres()
	return !testing.Short() && (!errors.Is(err, postgrestest.ErrNotInstalled) || os.Getenv("CI") == "true")
}

// add copies the file of a test that has passed.
func (c *copies) add(t testing.TB, path string, to *store.Store) {
	t.Helper()
	if t.Failed() || t.Skipped() {
		return
	}
	copied := copyFile(t, path, to)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, table := range copied {
		c.rows[table.Name] += table.Rows
	}
}

// checkAllTables checks that all tables that this version writes to had rows in one of the tests.
func (c *copies) checkAllTables(t *testing.T) {
	for _, earlier := range []string{"failed_logins", "consents"} { // of earlier versions
		delete(c.rows, earlier)
	}
	if len(c.rows) < 20 {
		t.Errorf("only %d tables were copied", len(c.rows))
	}
	for name, n := range c.rows {
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
