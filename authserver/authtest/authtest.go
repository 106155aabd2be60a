// Package authtest runs an authorization server within a test, for the tests of an API that package bearer protects.
// It is the real server on an empty database: clients get tokens by the protocol, and APIs see revocations.
//
//	server := authtest.NewServer(t)
//	server.AddUser(authtest.User{Username: "ada"})
//	server.AddClient(authtest.Client{ID: "app", Scope: "reports:read"})
//	token := server.Token(authtest.Request{Client: "app", User: "ada"})
//
// The API of the test opens its guard with server.BearerConfig. A test that needs tokens only, and neither logins nor
// revocation, is faster with package bearertest.
//
// The keys of the server are in this repository, and its password hashes are weak. It listens on 127.0.0.1 only.
package authtest

import (
	"context"
	_ "embed" // for the keys
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Audience is the identifier of the default API: the aud of tokens whose request names no API.
const Audience = "https://api.example"

// bcryptCost is the lowest cost that bcrypt supports. The settings of the program do not allow it.
const bcryptCost = 4

// keys has a key for access tokens and one for ID tokens. Everybody knows them.
//
//go:embed keys.json
var keys []byte

// Server is an authorization server of one test. Its methods fail the test on an error: call them only from the
// goroutine of the test, as testing.TB.FailNow requires.
type Server struct {
	// URL is the address of the server, and the iss of its tokens.
	URL string

	t          testing.TB
	ctx        context.Context //nolint:containedctx // ends when the server is closed
	close      func()
	keys       *keyring.Ring
	data       *store.Store
	hasher     *account.Hasher
	background *server.Background

	mu        sync.Mutex
	passwords map[string]string  // of users, by username
	clients   map[string]*client // by id
}

// NewServer starts a server, which is closed at the end of the test. It has no users, no clients, and the API Audience,
// whose tokens may have every scope of their client. The test fails if the server cannot start.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := start(t)
	if err != nil {
		t.Fatalf("authtest: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// start starts a server. If it fails, it leaves nothing behind.
func start(t testing.TB) (*Server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	background := server.NewBackground(ctx, slog.New(slog.DiscardHandler))
	s := &Server{t: t, ctx: ctx, background: background, passwords: map[string]string{}, clients: map[string]*client{}}
	listener := httptest.NewUnstartedServer(nil)
	s.URL = "http://" + listener.Listener.Addr().String()
	folder, err := os.MkdirTemp("", "authtest-") //nolint:usetesting // Close removes it
	s.close = sync.OnceFunc(func() {
		cancel()
		listener.Close()
		s.background.Stop()
		if s.data != nil {
			_ = s.data.Close() // the database is not needed any longer
		}
		_ = os.RemoveAll(folder)
	})
	if err == nil {
		listener.Config.Handler, err = s.handler(folder)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	listener.Start()
	return s, nil
}

// handler opens a database in the folder and returns the handler of the server.
func (s *Server) handler(folder string) (http.Handler, error) {
	var err error
	if s.keys, err = keyring.Parse(keys); err != nil {
		return nil, err
	}
	if s.hasher, err = account.NewHasher(bcryptCost); err != nil {
		return nil, err
	}
	if s.data, err = openDatabase(s.ctx, folder); err != nil {
		return nil, err
	}
	return server.Handler(s.ctx, s.settings(), server.Parts{
		Keys:       s.keys,
		Data:       s.data,
		Hasher:     s.hasher,
		Background: s.background,
		Registry:   httpserver.NewRegistry("authtest"),
		Log:        slog.New(slog.DiscardHandler),
	})
}

// settings returns the defaults of the program, except for what a test has of its own and for timeouts.
func (s *Server) settings() server.Settings {
	return server.Settings{
		Issuer:              s.URL,
		Audience:            Audience,
		AccessTokenLifetime: 30 * time.Minute,
		RefreshIdle:         30 * 24 * time.Hour,
		RefreshLifetime:     180 * 24 * time.Hour,
		RefreshGrace:        10 * time.Second,
		ClientDocuments:     []string{"off"},
		Registration:        "off",
		Demo:                server.DemoOff,
		PasswordWorkers:     2,
		PasswordQueue:       64,
		PasswordWait:        timeout,
	}
}

// Close stops the server, as if it were down for its APIs. Tests need not call it: see NewServer. Further calls do
// nothing.
func (s *Server) Close() { s.close() }

// BearerConfig returns the configuration of a guard for an API of this server, which may be changed: Audience, or one
// that was added with AddAPI. bearer.Open takes it. The guard has the keys from the start, so that no first request
// has to wait for them, and fetches status lists from the server. A program that takes settings only can fetch the
// keys from URL + "/jwks.json"; its test should wait until the guard is ready.
func (s *Server) BearerConfig(audience string) bearer.Config {
	return bearer.Config{Issuer: s.URL, Audience: audience, Keys: s.keys}
}

// Guard returns a guard for an API of this server, which runs until the server is closed.
func (s *Server) Guard(audience string) *bearer.Guard {
	s.t.Helper()
	guard, err := bearer.Open(s.ctx, s.BearerConfig(audience))
	s.check("opening a guard", err)
	return guard
}

// check fails the test on an error.
func (s *Server) check(doing string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("authtest: %s: %v", doing, err)
	}
}

// timeout is one that a busy machine does not reach. It only ends tests that would hang.
const timeout = 5 * time.Minute

// pool limits the calls to the database.
var pool = store.Pool{ConnectTimeout: timeout, StatementTimeout: timeout}

// openDatabase opens a database of its own in the folder. It is a file: the store opens SQLite by several connections
// with a write-ahead log, which SQLite does not have in memory.
func openDatabase(ctx context.Context, folder string) (*store.Store, error) {
	content, err := emptyDatabase()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "hallpass.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return nil, err
	}
	return store.Open(ctx, "sqlite:"+path, pool)
}

// emptyDatabase returns the file of a database that is migrated. All servers of a process begin with it.
var emptyDatabase = sync.OnceValues(func() (content []byte, err error) {
	folder, err := os.MkdirTemp("", "authtest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "hallpass.db")
	data, err := store.Open(context.Background(), "sqlite:"+path, pool)
	if err != nil {
		return nil, err
	}
	if _, err := data.Migrate(context.Background()); err != nil {
		_ = data.Close() // the first error matters
		return nil, err
	}
	if err := data.Close(); err != nil { // moves the write-ahead log into the file
		return nil, fmt.Errorf("closing the empty database: %w", err)
	}
	return os.ReadFile(path)
})
