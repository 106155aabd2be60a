package database_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// pair is a primary and its synchronous standby, and a database on both.
type pair struct {
	primary, standby *postgrestest.Server
	direct           string // URL of the database on the primary
	url              string // URL with both hosts, the primary first
}

func startPair(t *testing.T) pair {
	t.Helper()
	if testing.Short() {
		t.Skip("long test")
	}
	var p pair
	p.direct = postgrestest.Database(t, func() (s *postgrestest.Server, err error) {
		p.primary, err = postgrestest.New()
		return p.primary, err
	})
	closeAtEnd(t, p.primary)
	var err error
	if p.standby, err = p.primary.Standby(); err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, p.standby)
	if p.url, err = postgrestest.Hosts(p.direct, p.standby); err != nil {
		t.Fatal(err)
	}
	return p
}

func closeAtEnd(t *testing.T, s *postgrestest.Server) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// patient returns limits that a busy machine does not reach.
func patient(connections int) database.Pool {
	limits := databasetest.Pool
	limits.Connections = connections
	return limits
}

// openWith opens a database with limits until the end of the test, and makes the table words. If the limits are so
// short that a busy machine reaches them, it tries until it succeeds.
func openWith(t *testing.T, url string, limits database.Pool) *database.DB {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		db, err := database.Open(t.Context(), url, limits)
		if err == nil {
			t.Cleanup(func() { _ = db.Close() }) // a server may be frozen
			_, err = db.Migrate(t.Context(), schema)
		}
		if err == nil {
			return db
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// onEach makes the pool open n connections, and calls use with each of them.
func onEach(t *testing.T, db *database.DB, n int, use func(*sql.Conn)) {
	t.Helper()
	for range n {
		conn, err := db.Write.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		use(conn)
	}
}

// useMany makes the pool open n connections.
func useMany(t *testing.T, db *database.DB, n int) {
	t.Helper()
	onEach(t, db, n, func(*sql.Conn) {})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value returns the result of a query for one text.
func value(t *testing.T, conn *sql.Conn, query string) (text string) {
	t.Helper()
	if err := conn.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// wantWords checks what every one of n connections reads.
func wantWords(t *testing.T, db *database.DB, n int, want string) {
	t.Helper()
	onEach(t, db, n, func(conn *sql.Conn) {
		if got := value(t, conn, "SELECT string_agg(word, ' ' ORDER BY word) FROM words"); got != want {
			t.Errorf("words: %s, want %s", got, want)
		}
	})
}

// writeUntilDone writes a word until that succeeds. Every other result must be ErrUnavailable.
func writeUntilDone(t *testing.T, db *database.DB, word string) (failed int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		_, err := db.Exec(ctx, "insert", insert+" ON CONFLICT DO NOTHING", word)
		if err == nil {
			return failed
		}
		if failed++; !errors.Is(err, database.ErrUnavailable) || ctx.Err() != nil {
			t.Fatalf("write %d: %v", failed, err)
		}
	}
}

// The primary is killed. The standby is promoted and has every word that was acknowledged. The pool goes on with it.
func TestPrimaryIsKilled(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	db := openWith(t, p.url, patient(4))
	useMany(t, db, 4)
	writeUntilDone(t, db, "acknowledged")
	if err := p.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert", insert, "lost"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("without a primary: %v, want ErrUnavailable", err)
	}
	if err := p.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	if failed := writeUntilDone(t, db, "promoted"); failed > 1 {
		t.Errorf("after the promotion %d writes failed, want at most 1", failed)
	}
	wantWords(t, db, 4, "acknowledged promoted")
}

// The primary is frozen: it accepts connections and does not respond. The pool checks idle connections, leaves it and
// returns to it only if the other host does not accept connections.
func TestPrimaryIsSilent(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	const limit = 10 * time.Second
	db := openWith(t, p.url, database.Pool{Connections: 4, ConnectTimeout: limit, StatementTimeout: limit})
	useMany(t, db, 4)
	writeUntilDone(t, db, "acknowledged")
	if err := p.primary.Freeze(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert", insert, "lost"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("while the primary is frozen: %v, want ErrUnavailable", err)
	}
	if err := p.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	writeUntilDone(t, db, "promoted")
	if err := p.primary.Thaw(); err != nil { // it still is a primary, which nobody may use
		t.Fatal(err)
	}
	wantWords(t, db, 4, "acknowledged promoted")
}

// The primary is frozen, the standby is promoted, and the primary goes on, so that both take themselves for the
// primary. A pool that knows the new one does not use the old one again, also if the new one does not respond.
func TestReplacedPrimaryGoesOn(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	limits := patient(2)
	limits.ConnectTimeout, limits.StatementTimeout = 4*time.Second, 2*time.Second
	db := openWith(t, p.url, limits)
	must(t, p.primary.Freeze())
	must(t, p.standby.Promote())
	writeUntilDone(t, db, "new")
	must(t, p.primary.Thaw())
	must(t, p.standby.Freeze())
	for range 3 {
		var word string
		err := db.Read.ScanRow(t.Context(), "SELECT word FROM words", nil, &word)
		if err == nil || errors.Is(err, sql.ErrNoRows) {
			t.Fatalf("the old primary was read: %q, %v", word, err)
		}
	}
	must(t, p.standby.Thaw())
	writeUntilDone(t, db, "newer")
	wantWords(t, db, 2, "new newer")
}

// One name has the addresses of both servers. New connections lead to the promoted one, though the other goes on and
// is tried first.
func TestReplacedPrimaryIsTheFirstAddress(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	url := strings.Replace(p.direct, p.primary.Socket(), "db.example&sslmode=disable&target_session_attrs=read-write", 1)
	limits := patient(4)
	limits.ConnectTimeout, limits.StatementTimeout = 2*time.Second, 8*time.Second
	db, err := database.OpenDialing(t.Context(), url, limits,
		func(ctx context.Context, _, address string) (net.Conn, error) {
			server := p.primary
			if strings.HasPrefix(address, database.Addresses[1]) {
				server = p.standby
			}
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(server.Socket(), ".s.PGSQL.5432"))
		})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Migrate(t.Context(), schema)
	must(t, err)
	writeUntilDone(t, db, "old")
	must(t, p.primary.Freeze())
	must(t, p.standby.Promote())
	writeUntilDone(t, db, "new")
	must(t, p.primary.Thaw())
	wantWords(t, db, 4, "new old")
}

// New connections lead to the server that was promoted, as through a proxy. Then the pool no longer uses those to the
// old primary, though it still responds.
func TestNewConnectionLeadsToPromotedServer(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	proxy := filepath.Join(t.TempDir(), ".s.PGSQL.5432")
	must(t, os.Symlink(filepath.Join(p.primary.Socket(), filepath.Base(proxy)), proxy))
	db := openWith(t, strings.Replace(p.direct, p.primary.Socket(), filepath.Dir(proxy), 1), patient(4))
	useMany(t, db, 3)
	must(t, p.standby.Promote())
	must(t, os.Remove(proxy))
	must(t, os.Symlink(filepath.Join(p.standby.Socket(), filepath.Base(proxy)), proxy))
	useMany(t, db, 4) // one of them is new
	onEach(t, db, 4, func(conn *sql.Conn) {
		if got := value(t, conn, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"); got != "00000002" {
			t.Errorf("a connection to timeline %s", got)
		}
	})
}

// A commit that the standby has not confirmed is not acknowledged.
func TestStandbyIsSilent(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	const limit = 500 * time.Millisecond
	db := openWith(t, p.url, database.Pool{ConnectTimeout: limit, StatementTimeout: limit})
	if err := p.standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert", insert, "unconfirmed"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("one statement: %v, want ErrUnavailable", err)
	}
	err := db.InTx(t.Context(), "insert", func(ctx context.Context, tx database.Tx) error {
		_, err := tx.ExecContext(ctx, insert, "unconfirmed too")
		return err
	})
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("a transaction: %v, want ErrUnavailable", err)
	}
	if err := p.standby.Thaw(); err != nil {
		t.Fatal(err)
	}
	writeUntilDone(t, db, "confirmed")
}

// A server that becomes read-only under open connections is left after one failed write. A pool with this
// server alone, and without target_session_attrs, still reads from it.
func TestServerBecomesReadOnly(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	db := openWith(t, p.url, patient(4))
	alone := openWith(t, p.direct, patient(1))
	useMany(t, db, 4)
	writeUntilDone(t, db, "acknowledged")
	if err := p.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	makeReadOnly(t, alone)
	onEach(t, db, 4, func(conn *sql.Conn) { waitReadOnly(t, conn) })
	if failed := writeUntilDone(t, db, "promoted"); failed != 1 {
		t.Errorf("%d writes failed, want 1", failed)
	}
	wantWords(t, db, 4, "acknowledged promoted")
	wantWords(t, alone, 1, "acknowledged")
	if _, err := alone.Exec(t.Context(), "insert", insert, "lost"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("a write to the server alone: %v, want ErrUnavailable", err)
	}
}

// makeReadOnly makes all transactions on a server read-only.
func makeReadOnly(t *testing.T, db *database.DB) {
	t.Helper()
	for _, statement := range []string{
		"ALTER SYSTEM SET synchronous_standby_names = ''",
		"ALTER SYSTEM SET default_transaction_read_only = on",
		"SELECT pg_reload_conf()",
	} {
		if _, err := db.Write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	onEach(t, db, 1, func(conn *sql.Conn) { waitReadOnly(t, conn) })
}

// waitReadOnly waits until a connection has noticed that its server has become read-only.
func waitReadOnly(t *testing.T, conn *sql.Conn) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); value(t, conn, "SHOW default_transaction_read_only") != "on"; {
		if time.Now().After(end) {
			t.Fatal("the server has not become read-only")
		}
	}
}

// A standby that is the only host is refused, and the error says why.
func TestOnlyAStandby(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	url := strings.Replace(p.direct, p.primary.Socket(), p.standby.Socket(), 1)
	for attributes, want := range map[string]string{"read-write": "read only connection", "primary": "in standby mode"} {
		db, err := database.Open(t.Context(), url+"&target_session_attrs="+attributes, patient(1))
		if err == nil {
			t.Fatal(errors.Join(errors.New("the database opened"), db.Close()))
		}
		if !errors.Is(err, database.ErrUnreachable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrUnreachable with %q", attributes, err, want)
		}
	}
}

// The error names every host that was tried. All hosts together have the time that one connection may take.
func TestNoHostResponds(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections, and reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	url := "postgres://secretname:secretword@" + silent.Addr().String() + "," + closed.Addr().String() + "/x"
	_, err = database.Open(t.Context(), url, database.Pool{ConnectTimeout: 200 * time.Millisecond})
	if !errors.Is(err, database.ErrUnreachable) {
		t.Fatalf("%v, want ErrUnreachable", err)
	}
	for _, address := range []string{silent.Addr().String(), closed.Addr().String()} {
		if !strings.Contains(err.Error(), address) {
			t.Errorf("the error does not name %s: %v", address, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error contains the user or the password: %v", err)
	}
}

// Hallpass writes to its database. It refuses attributes that select a standby, however they are written.
func TestReadOnlyAttributes(t *testing.T) {
	const url = "postgres://a,b/x?sslmode=require"
	for attributes, want := range map[string]error{
		"read-write": nil, "primary": nil, "any": nil,
		"read-only": database.ErrURL, "standby": database.ErrURL, "prefer-standby": database.ErrURL, "other": database.ErrURL,
		"read%2Donly": database.ErrURL, "%73tandby": database.ErrURL, "read%2Dwrite": nil,
	} {
		for _, name := range []string{"target_session_attrs", "target%5Fsession_attrs"} {
			err := database.CheckURL(url + "&" + name + "=" + attributes)
			if !errors.Is(err, want) {
				t.Errorf("%s=%s: %v, want %v", name, attributes, err, want)
			}
		}
		t.Setenv("PGTARGETSESSIONATTRS", attributes)
		if err := database.CheckURL(url); !errors.Is(err, want) && !strings.Contains(attributes, "%") {
			t.Errorf("PGTARGETSESSIONATTRS=%s: %v, want %v", attributes, err, want)
		}
		t.Setenv("PGTARGETSESSIONATTRS", "")
	}
}

// All hosts together have the time that one connection may take.
func TestHostsDivideTheTimeout(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]time.Duration{
		"postgres://a/x?sslmode=disable":                     6 * time.Second,
		"postgres://a,b/x?sslmode=disable":                   3 * time.Second,
		"postgres://a,b/x?sslmode=prefer":                    3 * time.Second, // a host is tried with and without TLS
		"postgres://a:1,b:2,c:3/x?sslmode=disable":           2 * time.Second,
		"postgres:///x?sslmode=disable&host=/tmp/a,/tmp/b,c": 2 * time.Second,
	} {
		h, err := database.NewHosts(url, database.Pool{ConnectTimeout: 6 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if h.Timeout() != want {
			t.Errorf("%s: %v for each host, want %v", url, h.Timeout(), want)
		}
	}
}

// After a host was left, the next one is tried first. Other connections to the host that was left change nothing.
func TestNextHostIsFirst(t *testing.T) {
	t.Parallel()
	h, err := database.NewHosts("postgres://a,b,c/x?sslmode=disable", database.Pool{ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, leave := range []struct{ host, first int }{{0, 1}, {1, 2}, {2, 0}, {1, 2}} {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c, err := h.Connection(leave.host, ours)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			h.Leave(c)
			if h.First() != leave.first {
				t.Errorf("after host %d was left, host %d is first, want %d", leave.host, h.First(), leave.first)
			}
		}
	}
}

// watched is a connection that counts when it is closed.
type watched struct {
	net.Conn
	closed *atomic.Int32
}

func (w watched) Close() error {
	w.closed.Add(1)
	return w.Conn.Close()
}

// A commit that the standby has not confirmed is not seen by others, also when its caller has given up and its
// connection is closed: a failover may lose it.
func TestUnconfirmedCommitIsNotSeen(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	watcher := openWith(t, p.direct, database.Pool{})
	var closed atomic.Int32
	const limit = 500 * time.Millisecond
	db, err := database.OpenDialing(t.Context(), p.direct, database.Pool{ConnectTimeout: limit, StatementTimeout: limit},
		func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return watched{conn, &closed}, err
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	writeUntilDone(t, db, "acknowledged")
	if err := p.standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	before := closed.Load()
	if _, err := db.Exec(t.Context(), "insert", insert, "unconfirmed"); !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("without a standby: %v, want ErrUnavailable", err)
	}
	for end := time.Now().Add(time.Minute); closed.Load() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection is not closed")
		}
	}
	wantWords(t, watcher, 1, "acknowledged")
}
