package authtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallpass-auth/hallpass/shared/bearer"

	"github.com/hallpass-auth/hallpass/authserver/authtest"
)

// get sends a request with a token and returns the status.
func get(t *testing.T, h http.Handler, token string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/reports", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// reports is a handler that tells the caller from the token.
func reports(t *testing.T, want string) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if claims, ok := bearer.FromContext(r.Context()); !ok || claims.Subject != want {
			t.Errorf("the caller is %+v, want %s", claims, want)
		}
	})
}

// A user logs in, refreshes, and is logged out: the API notices.
func TestUser(t *testing.T) {
	t.Parallel()
	s := authtest.NewServer(t)
	id := s.AddUser(authtest.User{Username: "ada", Groups: []string{"admins"}})
	for _, c := range []authtest.Client{
		{ID: "website", Scope: "reports:read profile"},
		{ID: "app", Scope: "reports:read profile", Public: true},
	} {
		if secret := s.AddClient(c); (secret == "") != c.Public {
			t.Errorf("the secret of %s is %q", c.ID, secret)
		}
		handler := s.Guard(authtest.Audience).Require("reports:read")(reports(t, id))
		token := s.Token(authtest.Request{Client: c.ID, User: "ada"})
		fresh := s.Refresh(c.ID, token)
		for what, raw := range map[string]string{"first": token.AccessToken, "second": fresh.AccessToken} {
			if status := get(t, handler, raw); status != http.StatusOK {
				t.Errorf("%s token of %s: status %d", what, c.ID, status)
			}
		}
		narrow := s.Token(authtest.Request{Client: c.ID, User: "ada", Scope: "profile"})
		if status := get(t, handler, narrow.AccessToken); status != http.StatusForbidden {
			t.Errorf("a token of %s without the scope: status %d, want 403", c.ID, status)
		}
		s.Revoke(c.ID, fresh.RefreshToken)
		await(t, func() bool { return get(t, handler, fresh.AccessToken) == http.StatusUnauthorized })
	}
}

// await waits until a condition is met.
func await(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the API does not notice that the login has ended")
		}
	}
}

// A service gets tokens for two APIs, and each refuses those of the other.
func TestService(t *testing.T) {
	t.Parallel()
	const billing = "https://billing.example"
	s := authtest.NewServer(t)
	s.AddAPI(billing, "invoices:read", "reports:read")
	s.AddClient(authtest.Client{ID: "job", Grants: []string{"client_credentials"}, Scope: "reports:read"})
	for _, audience := range []string{authtest.Audience, billing} {
		token := s.Token(authtest.Request{Client: "job", Audience: audience}).AccessToken
		for _, api := range []string{authtest.Audience, billing} {
			want := http.StatusUnauthorized
			if api == audience {
				want = http.StatusOK
			}
			if status := get(t, s.Guard(api).Require("reports:read")(reports(t, "job")), token); status != want {
				t.Errorf("token for %s at %s: status %d, want %d", audience, api, status, want)
			}
		}
	}
}

// A server has nothing in common with another one: tests can run in parallel.
func TestServersAreSeparate(t *testing.T) {
	t.Parallel()
	one, other := authtest.NewServer(t), authtest.NewServer(t)
	for _, s := range []*authtest.Server{one, other} {
		s.AddClient(authtest.Client{ID: "job", Grants: []string{"client_credentials"}, Scope: "reports:read"})
	}
	if one.URL == other.URL {
		t.Errorf("both servers are at %s", one.URL)
	}
	token := one.Token(authtest.Request{Client: "job"}).AccessToken
	handler := other.Guard(authtest.Audience).Require()(reports(t, ""))
	if status := get(t, handler, token); status != http.StatusUnauthorized {
		t.Errorf("the token of another server: status %d, want 401", status)
	}
	if _, err := other.Config("job").PasswordCredentialsToken(t.Context(), "ada", authtest.Password); err == nil {
		t.Error("a client got a token by a grant type that it may not use")
	}
}

// A closed server responds no longer, and can be closed again. Guards go on with what they know.
func TestClose(t *testing.T) {
	t.Parallel()
	s := authtest.NewServer(t)
	s.AddClient(authtest.Client{ID: "job", Grants: []string{"client_credentials"}, Scope: "reports:read"})
	guard, err := bearer.Open(t.Context(), s.BearerConfig(authtest.Audience))
	if err != nil {
		t.Fatal(err)
	}
	handler := guard.Require("reports:read")(reports(t, "job"))
	token := s.Token(authtest.Request{Client: "job"}).AccessToken
	before := get(t, handler, token)
	s.Close()
	s.Close()
	if after := get(t, handler, token); before != http.StatusOK || after != http.StatusOK {
		t.Errorf("status %d, and after the server was closed %d", before, after)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Error("the server still responds")
	}
}

// failing is a test that ends at its first error.
type failing struct {
	testing.TB
	failed string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A mistake in a test ends it, with an error that says what is wrong.
func TestMistakes(t *testing.T) {
	t.Parallel()
	f := &failing{TB: t}
	s := authtest.NewServer(f)
	s.AddUser(authtest.User{Username: "ada"})
	s.AddClient(authtest.Client{ID: "app", Scope: "profile"})
	s.AddClient(authtest.Client{ID: "job", Scope: "profile", Grants: []string{"client_credentials"}})
	for want, mistake := range map[string]func(){
		"user already exists":     func() { s.AddUser(authtest.User{Username: "ada"}) },
		"client already exists":   func() { s.AddClient(authtest.Client{ID: "app", Scope: "profile"}) },
		"it has no scope":         func() { s.AddClient(authtest.Client{ID: "other"}) },
		`"x" is not a grant type`: func() { s.AddClient(authtest.Client{ID: "x", Scope: "x", Grants: []string{"x"}}) },
		"absolute URI":            func() { s.AddAPI("reports", "profile") },
		"no client x":             func() { s.Token(authtest.Request{Client: "x"}) },
		"no user bob":             func() { s.Token(authtest.Request{Client: "app", User: "bob"}) },
		"invalid_scope":           func() { s.Token(authtest.Request{Client: "app", User: "ada", Scope: "x"}) },
		"unauthorized_client":     func() { s.Token(authtest.Request{Client: "app"}) },
		"may not log users in":    func() { s.Token(authtest.Request{Client: "job", User: "ada"}) },
		"refreshing the token":    func() { s.Refresh("app", &oauth2.Token{RefreshToken: "x"}) },
	} {
		f.failed = ""
		done := make(chan struct{})
		go func() {
			defer close(done)
			mistake()
		}()
		<-done
		if !strings.Contains(f.failed, want) {
			t.Errorf("the error is %q, want %q", f.failed, want)
		}
	}
}

// BenchmarkNewServer says how long a server takes to start and stop. The first one of a process also migrates.
func BenchmarkNewServer(b *testing.B) {
	authtest.NewServer(b).Close()
	for b.Loop() {
		authtest.NewServer(b).Close()
	}
}
