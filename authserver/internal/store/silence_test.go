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

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// network carries connections to a PostgreSQL server, until it is dead: then nothing
// arrives any more, and nobody is told.
type network struct {
	dead    atomic.Bool
	carried sync.WaitGroup
}

// silentURL returns the URL of the database by way of a network.
func silentURL(t *testing.T, direct string) (*network, string) {
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
	n.carried.Go(func() {
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
			n.carried.Go(func() { n.carry(server, client) })
			n.carried.Go(func() { n.carry(client, server) })
		}
	})
	context.AfterFunc(t.Context(), func() { _ = l.Close() }) // the context ends before Cleanup
	t.Cleanup(n.carried.Wait)
	return n, "postgres://" + u.Query().Get("user") + "@" + l.Addr().String() + u.Path + "?sslmode=disable"
}

func (n *network) carry(to, from net.Conn) {
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

// unavailableSoon makes many calls at once of a database that says nothing, each of which
// must end by itself.
func unavailableSoon(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
		t.Error("the calls ended with their context and not by themselves")
	}
}

// A PostgreSQL that is frozen, or behind a network that is dead, keeps nobody waiting: with
// connections that are open already no timeout of the server's own counts.
func TestPostgreSQLFallsSilent(t *testing.T) {
	n, url := silentURL(t, postgresURL(t))
	s, err := store.Open(t.Context(), url, store.Pool{Connections: 2, ConnectTimeout: 250 * time.Millisecond, StatementTimeout: 250 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.dead.Store(true)
	for name, call := range map[string]func(context.Context) error{
		"a read":        s.Ping,
		"a list":        func(ctx context.Context) error { _, err := s.Users(ctx); return err },
		"a write":       func(ctx context.Context) error { _, err := s.RevokeGrant(ctx, 1, time.Now()); return err },
		"a transaction": func(ctx context.Context) error { return s.DeleteClient(ctx, "x", time.Now()) },
	} {
		t.Run(name, func(t *testing.T) { unavailableSoon(t, call) })
	}
	n.dead.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for err = s.Ping(ctx); err != nil && ctx.Err() == nil; {
		err = s.Ping(ctx)
	}
	if err != nil {
		t.Errorf("when the network is back: %v", err)
	}
}

// A command may revoke more than a server's time for a request is enough for.
func TestSQLiteCommandTakesItsTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	served := mustOpen(t, path)
	s, err := store.OpenExisting(t.Context(), "sqlite:"+path, store.Pool{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if served.CallTimeout() > 15*time.Second || s.CallTimeout() < 10*time.Minute {
		t.Errorf("a call takes up to %v in a server, and up to %v in a command", served.CallTimeout(), s.CallTimeout())
	}
}

// Who waits for a SQLite file that another program has locked does not wait for all the
// others who wait for it too.
func TestSQLiteWaitsOnceForALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hallpass.db")
	s := mustOpen(t, path)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.SetCallTimeout(250 * time.Millisecond)
	if _, err := raw(t, path).ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	unavailableSoon(t, func(ctx context.Context) error { _, err := s.RevokeGrant(ctx, 1, time.Now()); return err })
}
