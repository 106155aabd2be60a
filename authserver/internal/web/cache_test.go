package web_test

import (
	"crypto/rand"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// postgres is the server of the tests that need PostgreSQL. started says whether there is one to close.
var (
	started  atomic.Bool
	postgres = sync.OnceValues(func() (*postgrestest.Server, error) {
		started.Store(true)
		return postgrestest.Shared()
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started.Load() {
		if server, err := postgres(); err == nil {
			if err := server.Close(); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(code)
}

// engines returns the URL of an empty database of each engine.
var engines = map[string]func(t *testing.T) string{
	"SQLite": func(t *testing.T) string {
		t.Helper()
		return "sqlite:" + storetest.SQLite(t)
	},
	"PostgreSQL": func(t *testing.T) string {
		t.Helper()
		return postgrestest.Database(t, postgres)
	},
}

// onEveryEngine runs a test on a site with the client service on each database engine. The counter
// counts the statements of the site.
func onEveryEngine(t *testing.T, test func(t *testing.T, s *site, statements *storetest.Counter)) {
	for engine, empty := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			statements := &storetest.Counter{}
			s := newSiteOn(t, empty(t), databasetest.Wrapped(statements.Wrap))
			s.addService()
			test(t, s, statements)
		})
	}
}

// Requests of the same clients need few statements: no more than what must be read or written for
// every token.
func TestStatementsOfARequest(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, s *site, statements *storetest.Counter) {
		user, own := s.mustCall("/token", passwordForm), s.mustCall("/token", credentialsForm)
		refresh := user.Refresh
		for range 2 {
			for _, tt := range []struct {
				name string
				want int64
				call func() response
			}{
				{"client_credentials", 0, func() response { return s.mustCall("/token", credentialsForm) }},
				{"refresh", 2, func() response { return s.mustCall("/token", refreshForm(refresh)) }},
				{"introspection of a service's token", 1, func() response { return s.mustCall("/introspect", tokenForm(own.Access)) }},
				{"introspection of a user's token", 1, func() response { return s.mustCall("/introspect", tokenForm(user.Access)) }},
			} {
				statements.Reset()
				if got := tt.call(); got.Refresh != "" {
					refresh = got.Refresh
				}
				if got := statements.Reset(); got != tt.want {
					t.Errorf("%s: %d statements, want %d", tt.name, got, tt.want)
				}
			}
		}
	})
}

// What another process revokes ends at once, although this server still knows the client as it was. The
// server may issue a token until it reads the client again, but its bit in the status list is set.
func TestNoTokenOutlivesARevocation(t *testing.T) {
	t.Parallel()
	_, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, revoke := range map[string]func(s *site) error{
		"secret replaced": func(s *site) error {
			return s.data.ReplaceClientSecret(t.Context(), service, digest, s.clock())
		},
		"client deleted": func(s *site) error { return s.data.DeleteClient(t.Context(), service, s.clock()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryEngine(t, func(t *testing.T, s *site, _ *storetest.Counter) {
				reader := s.addReader()
				own, user := s.mustCall("/token", credentialsForm), s.mustCall("/token", passwordForm)
				next := s.mustCall("/token", refreshForm(user.Refresh))
				s.must(revoke(s))

				late := s.mustCall("/token", credentialsForm)
				for what, tt := range map[string]struct {
					form url.Values
					want oauth.ErrorCode
				}{
					"a login":                       {passwordForm, oauth.CodeInvalidClient},
					"refreshing with current token": {refreshForm(next.Refresh), oauth.CodeInvalidGrant},
					"refreshing with recent token":  {refreshForm(user.Refresh), oauth.CodeInvalidGrant},
				} {
					if got := s.call("/token", tt.form); got.Error != string(tt.want) {
						t.Errorf("%s: %q, want %s", what, got.Error, tt.want)
					}
				}
				s.wait(issuing.CacheTime)
				for _, access := range []string{own.Access, user.Access, next.Access, late.Access} {
					claims, err := s.verifier.Verify(t.Context(), access)
					s.must(err)
					if _, said := s.ask("/introspect", access, reader); said["active"] != false {
						t.Errorf("grant %d: introspection says %v", claims.Status.Index, said)
					}
					if !s.revoked(claims) {
						t.Errorf("grant %d is not in the status list", claims.Status.Index)
					}
				}
				for what, form := range map[string]url.Values{"service": credentialsForm, "login": passwordForm} {
					if got := s.call("/token", form); got.Error != string(oauth.CodeInvalidClient) {
						t.Errorf("%s with the previous secret: %q", what, got.Error)
					}
				}
			})
		})
	}
}

// A service that revokes its token gets a valid one with its next request.
func TestServiceRevokesItsToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addService()
	for range 2 {
		got := s.mustCall("/token", credentialsForm)
		if !s.mustCall("/introspect", tokenForm(got.Access)).Active {
			t.Error("a new token is not active")
		}
		s.mustCall("/revoke", tokenForm(got.Access))
		if s.mustCall("/introspect", tokenForm(got.Access)).Active {
			t.Error("a revoked token is active")
		}
	}
}

// A change by another process is in force when what is in memory is too old.
func TestChangedClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addService()
	s.mustCall("/token", credentialsForm)
	previous := s.secrets[service]
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(secret)
	s.must(s.data.SetClientSecret(t.Context(), service, digest, s.clock()))
	s.wait(issuing.CacheTime - time.Nanosecond)
	s.mustCall("/token", credentialsForm)
	s.wait(time.Nanosecond)
	if got := s.call("/token", credentialsForm); got.Error != string(oauth.CodeInvalidClient) {
		t.Errorf("the previous secret %q: %q", previous, got.Error)
	}
	s.secrets[service] = secret
	s.mustCall("/token", credentialsForm)
}
