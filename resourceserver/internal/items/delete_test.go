package items_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// between lets a test do something between two statements of a store.
type between struct {
	driver.Connector
	before func(statement string)
}

func (b *between) wrap(c driver.Connector) driver.Connector {
	b.Connector = c
	return b
}

// Connect implements driver.Connector.
func (b *between) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := b.Connector.Connect(ctx)
	return &betweenConn{conn, b}, err
}

// betweenConn has no optional methods, so that database/sql prepares every statement.
type betweenConn struct {
	driver.Conn
	between *between
}

// Prepare implements driver.Conn.
func (c *betweenConn) Prepare(query string) (driver.Stmt, error) {
	c.between.before(query)
	return c.Conn.Prepare(query)
}

// One deletion begins before the owner of the item exists, so that there is nothing to lock. The item is written
// before it reads, and another deletion ends before it deletes. On SQLite, writes run one after the other.
func TestDeleteBeforeTheOwnerExists(t *testing.T) {
	t.Parallel()
	anyTag, err := items.ParseTags([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		condition items.Condition
		want      error
	}{
		"no condition": {items.Condition{}, items.ErrNotFound},
		"If-Match":     {items.Condition{IfMatch: anyTag}, items.ErrCondition},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := databasetest.URL(t, database.PostgreSQL)
			other := open(t, url, databasetest.Pool)
			created, deleted := false, false
			create := func() {
				created = true
				if _, err := other.Create(t.Context(), john, draft, items.Key{}, start); err != nil {
					t.Error(err)
				}
			}
			remove := func() {
				deleted = true
				if err := other.Delete(t.Context(), john.ID, 1, tt.condition); err != nil {
					t.Errorf("the deletion that began later: %v", err)
				}
			}
			pause := &between{before: func(statement string) {
				switch {
				case !created && strings.HasPrefix(statement, "SELECT items.owner"):
					create()
				case created && !deleted && strings.HasPrefix(statement, "DELETE FROM items"):
					remove()
				}
			}}
			s := open(t, url, databasetest.Wrapped(pause.wrap))
			if err := s.Delete(t.Context(), john.ID, 1, tt.condition); !errors.Is(err, tt.want) {
				t.Errorf("the deletion that began first: %v, want %v", err, tt.want)
			}
			if !created {
				create()
			}
			if !deleted {
				remove()
			}
			if n := countOf(t, url, john.ID); n != 0 {
				t.Errorf("the owner has %d items, want 0", n)
			}
		})
	}
}

// countOf returns how many items a database says that an owner has.
func countOf(t *testing.T, url, owner string) (n int) {
	t.Helper()
	db, err := database.OpenExisting(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Read.ScanRow(t.Context(), "SELECT items FROM owners WHERE owner = $1", []any{owner}, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
