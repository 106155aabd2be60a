package items_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

// queue begins a write, makes calls that write while it waits, and lets it end when all of them are queued, so that
// they share a transaction. It returns when all have ended.
func queue(t *testing.T, s *items.Store, calls ...func()) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		wait := sync.OnceFunc(func() { close(begun); <-release })
		change := func(*items.Item) (items.Draft, error) { wait(); return draft, nil }
		if _, _, err := s.Write(t.Context(), items.Owner{ID: "usr_first"}, 1, items.Condition{}, change, start); err != nil {
			t.Error(err)
		}
	})
	<-begun
	for _, call := range calls {
		running.Go(call)
	}
	for end := time.Now().Add(time.Minute); s.Queued() < len(calls) && time.Now().Before(end); {
		runtime.Gosched()
	}
	queued := s.Queued()
	close(release)
	running.Wait()
	if queued < len(calls) {
		t.Fatalf("%d of %d writes were queued", queued, len(calls))
	}
}

// On SQLite, requests share a transaction. A request that is refused does not undo the writes of the others: each
// change is made once.
func TestRefusalsDoNotUndoOtherWrites(t *testing.T) {
	t.Parallel()
	s := open(t, databasetest.URL(t, database.SQLite), databasetest.Pool)
	key, err := items.NewKey("key", draft)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), john, draft, key, start); err != nil {
		t.Fatal(err)
	}
	other, err := items.NewKey("key", items.Draft{Title: "Buy bread"})
	if err != nil {
		t.Fatal(err)
	}
	anyTag, err := items.ParseTags([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	invalid := &items.FieldError{Field: "title", Message: "must not be empty"}
	var writes atomic.Int64
	change := func(*items.Item) (items.Draft, error) { writes.Add(1); return draft, nil }
	refuse := func(*items.Item) (items.Draft, error) { return items.Draft{}, invalid }
	const owners = 6
	var calls []func()
	check := func(what string, err, want error) {
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	for i := range owners {
		owner := items.Owner{ID: fmt.Sprintf("usr_%d", i)}
		calls = append(calls, func() {
			_, _, err := s.Write(t.Context(), owner, 1, items.Condition{}, change, start)
			check("write", err, nil)
		}, func() {
			_, _, err := s.Write(t.Context(), john, 99, items.Condition{IfMatch: anyTag}, change, start)
			check("write of an item that does not exist, with If-Match", err, items.ErrCondition)
		}, func() {
			_, _, err := s.Write(t.Context(), john, 1, items.Condition{}, refuse, start)
			check("write that is invalid", err, invalid)
		}, func() {
			_, err := s.Create(t.Context(), john, items.Draft{Title: "Buy bread"}, other, start)
			check("create with a key of another request", err, items.ErrKeyReused)
		}, func() {
			check("delete", s.Delete(t.Context(), john.ID, 99, items.Condition{}), items.ErrNotFound)
		})
	}
	queue(t, s, calls...)
	if n := writes.Load(); n != owners {
		t.Errorf("%d changes were made for %d writes", n, owners)
	}
	for i := range owners {
		if _, err := s.Get(t.Context(), fmt.Sprintf("usr_%d", i), 1); err != nil {
			t.Error(err)
		}
	}
}

// A write that is refused leaves no trace of an owner who has no items.
func TestRefusedWriteAddsNoOwner(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, databasetest.Pool)
		refuse := func(*items.Item) (items.Draft, error) { return items.Draft{}, items.ErrNotFound }
		for _, owner := range []items.Owner{{ID: "usr_nobody"}, john} {
			_, _, err := s.Write(t.Context(), owner, 1, items.Condition{}, refuse, start)
			if !errors.Is(err, items.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", owner.ID, err)
			}
			if n := ownersIn(t, url); n != 0 {
				t.Errorf("after a refused write of %s there are %d owners", owner.ID, n)
			}
		}
		if _, err := s.Create(t.Context(), john, draft, items.Key{}, start); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Write(t.Context(), john, 1, items.Condition{}, refuse, start); !errors.Is(err, items.ErrNotFound) {
			t.Error(err)
		}
		if n := ownersIn(t, url); n != 1 {
			t.Errorf("%d owners, want the one who has an item", n)
		}
	})
}

// ownersIn returns how many owners a database has.
func ownersIn(t *testing.T, url string) (n int) {
	t.Helper()
	db, err := database.OpenExisting(t.Context(), url, databasetest.Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Read.ScanRow(t.Context(), "SELECT COUNT(*) FROM owners", nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
