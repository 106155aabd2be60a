package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// network forwards connections to a PostgreSQL server. When dead is set it drops all data
// and keeps the connections open.
type network struct {
	dead     atomic.Bool
	forwards sync.WaitGroup
}

// throughNetwork returns a URL that reaches the database through a network.
func throughNetwork(t *testing.T, direct string) (*network, string) {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{}
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")
	n.forwards.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range []net.Conn{client, server} {
				context.AfterFunc(t.Context(), func() { _ = c.Close() })
			}
			n.forwards.Go(func() { n.forward(server, client) })
			n.forwards.Go(func() { n.forward(client, server) })
		}
	})
	context.AfterFunc(t.Context(), func() { _ = l.Close() }) // the context is canceled before Cleanup
	t.Cleanup(n.forwards.Wait)
	return n, "postgres://" + u.Query().Get("user") + "@" + l.Addr().String() + u.Path + "?sslmode=disable"
}

func (n *network) forward(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 4096)
	for {
		count, err := from.Read(b)
		if err != nil {
			return
		}
		if n.dead.Load() {
			continue
		}
		if _, err := to.Write(b[:count]); err != nil {
			return
		}
	}
}

// patience ends waits that would not end.
const patience = 5 * time.Minute

// opened returns a store with limits that a busy machine reaches while it connects. It tries until it succeeds.
func opened(t *testing.T, url string, limits store.Pool) *store.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		s, err := store.Open(ctx, url, limits)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() }) // its database may not respond
			return s
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// awaitPing waits until a database responds.
func awaitPing(t *testing.T, when string, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for err := s.Ping(ctx); err != nil; err = s.Ping(ctx) {
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
}

// unavailableSoon makes many calls at once to a database that does not respond, and checks
// that each returns ErrUnavailable by itself.
func unavailableSoon(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if err := call(ctx); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
		})
	}
	calls.Wait()
	if ctx.Err() != nil {
		t.Error("the calls ended only when their context did")
	}
}

// Calls over open connections end even if the server is frozen or the network drops all data:
// the server cannot enforce its timeout then.
func TestPostgreSQLStopsResponding(t *testing.T) {
	t.Parallel()
	n, url := throughNetwork(t, postgresURL(t))
	if _, err := opened(t, url, databasetest.Pool).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const timeout = 250 * time.Millisecond
	s := opened(t, url, store.Pool{Connections: 2, ConnectTimeout: timeout, StatementTimeout: timeout})
	awaitPing(t, "before the network drops data", s)
	n.dead.Store(true)
	for name, call := range map[string]func(context.Context) error{
		"a read":        s.Ping,
		"a list":        func(ctx context.Context) error { _, err := s.Users(ctx, record.Page{}); return err },
		"a write":       func(ctx context.Context) error { _, err := s.RevokeGrant(ctx, 1, time.Now()); return err },
		"a transaction": func(ctx context.Context) error { return s.DeleteClient(ctx, "x", time.Now()) },
	} {
		t.Run(name, func(t *testing.T) { unavailableSoon(t, call) })
	}
	n.dead.Store(false)
	awaitPing(t, "after the network has recovered", s)
}

// A command may revoke more grants than a server has time for in one request.
func TestSQLiteCallTimeouts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	served, err := store.Open(t.Context(), "sqlite:"+path, store.Pool{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = served.Close() }()
	s, err := store.OpenExisting(t.Context(), "sqlite:"+path, store.Pool{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if served.CallTimeout() > 15*time.Second || s.CallTimeout() < 10*time.Minute {
		t.Errorf("timeout %v in a server and %v in a command", served.CallTimeout(), s.CallTimeout())
	}
}

// The time that a call waits for a lock does not add up with that of the calls before it.
func TestSQLiteCallsWaitForALockTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	if _, err := mustOpen(t, path).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Every connection waits five seconds for a lock, also one that replaces the first.
	s := opened(t, "sqlite:"+path, store.Pool{StatementTimeout: 5 * time.Second})
	s.SetCallTimeout(250 * time.Millisecond)
	if _, err := raw(t, path).ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	unavailableSoon(t, func(ctx context.Context) error {
		_, err := s.RevokeGrant(ctx, 1, time.Now())
		return err
	})
}
