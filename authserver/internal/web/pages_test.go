package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// codeApp is a first-party client that uses the authorization code grant.
const codeApp = "code-app"

// wrongPassword is the message of the login page.
const wrongPassword = "Wrong username or password."

// addCodeApp registers codeApp.
func (s *site) addCodeApp() {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: codeApp, Name: "Code App", FirstParty: true, CreatedAt: s.clock(),
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile"},
		RedirectURIs: []string{"https://app.example/back"},
	}))
}

// codeRequest returns the query of an authorization request of codeApp, with changes: pairs
// of a name and a value.
func codeRequest(changes ...string) url.Values {
	query := url.Values{
		"response_type": {"code"}, "client_id": {codeApp}, "redirect_uri": {"https://app.example/back"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
	}
	return query
}

// pageForm returns the request that a browser sends for a form.
func pageForm(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// loginForm returns the request that the login page sends for a valid login to codeApp.
func loginForm() *http.Request { return loginFormOf(john, password) }

func loginFormOf(username, password string) *http.Request {
	return pageForm("/login", url.Values{
		"username": {username}, "password": {password}, "continue": {codeRequest().Encode()},
	})
}

// sessionCookie logs in and returns the session cookie.
func (s *site) sessionCookie() string {
	s.t.Helper()
	cookie, _, _ := strings.Cut(s.serve(loginForm()).header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	if value == "" {
		s.t.Fatal("the login set no cookie")
	}
	s.hide(value)
	return cookie
}

// The pages report errors and count results.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) {
		real := cfg.Passwords
		cfg.Passwords = passwords{real, func(ctx context.Context, a account.Attempt) (account.User, error) {
			err, ok := map[string]error{
				"throttled":  &account.ThrottledError{Wait: 90 * time.Second},
				"locked out": &account.ThrottledError{Wait: 15*time.Minute - time.Second},
				"overloaded": &account.OverloadedError{Wait: 6500 * time.Millisecond},
				"down":       store.ErrUnavailable,
			}[a.Username]
			if ok {
				return account.User{}, err
			}
			return real.Check(ctx, a)
		}}
	})
	s.addCodeApp()
	cookie := s.sessionCookie()
	denial := withCookie(pageForm("/consent", url.Values{
		"continue": {codeRequest().Encode()}, "user": {s.userID(john)},
	}), cookie)
	noRedirect := authorizeRequest("redirect_uri", "")
	otherRedirect := authorizeRequest("redirect_uri", "https://evil.example/")
	invalid := withCookie(authorizeRequest("response_type", "token"), cookie)
	for _, tt := range []struct {
		name       string
		request    *http.Request
		status     int
		retryAfter string
		says       string // in the page or in Location
	}{
		{"wrong password", loginFormOf(john, guess), 400, "", wrongPassword},
		{"wrong password, title", loginFormOf(john, guess), 400, "", "<title>Error: Log in</title>"},
		{"no password", loginFormOf(john, ""), 400, "", wrongPassword},
		{"throttled", loginFormOf("throttled", guess), 429, "90", "Try again in 90 seconds."},
		{"throttled for minutes", loginFormOf("locked out", guess), 429, "899", "Try again in 15 minutes."},
		{"too many at once", loginFormOf("overloaded", guess), 503, "7", "logging in right now. Try again in 7 seconds."},
		{"no database", loginFormOf("down", guess), 503, "2", "this service is not available right now"},
		{"no authorization request", pageForm("/login", url.Values{}), 400, "", "This link is broken"},
		{"unknown client", authorizeRequest("client_id", "nobody"), 400, "", "is not registered"},
		{"no redirect URI", noRedirect, 400, "", "redirect_uri is missing"},
		{"unregistered redirect URI", otherRedirect, 400, "", "must exactly match"},
		{"a login page", authorizeRequest(), 200, "", `name="password"`},
		{"a consent page", withCookie(authorizeRequest("prompt", "consent"), cookie), 200, "", "prompt=login&#43;consent"},
		{"prompt=none", authorizeRequest("prompt", "none"), 303, "", "error=login_required"},
		{"denied", denial, 303, "", "error=access_denied"},
		{"invalid request", invalid, 303, "", "error=unsupported_response_type"},
		{"a code", withCookie(authorizeRequest(), cookie), 303, "", "code="},
	} {
		got := s.serve(tt.request)
		if got.status != tt.status || got.header.Get("Retry-After") != tt.retryAfter ||
			!strings.Contains(got.header.Get("Location")+got.text, tt.says) {
			t.Errorf("%s: got %d %v\n%s\nwant %d with %q", tt.name, got.status, got.header, got.text, tt.status, tt.says)
		}
	}
	want := map[string]float64{
		"login ok": 1, "login invalid_grant": 3, "login temporarily_unavailable": 4, "login refused": 1,
		"authorize refused": 3, "authorize ok": 3, "authorize login_required": 1,
		"authorize unsupported_response_type": 1, "consent access_denied": 1,
	}
	if diff := cmp.Diff(want, s.counted()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if n := strings.Count(s.log.String(), "request failed"); n != 1 {
		t.Errorf("%d errors in the log, want 1, of the database:\n%s", n, s.log)
	}
}

// authorizeRequest returns an authorization request of codeApp, with changes.
func authorizeRequest(changes ...string) *http.Request {
	return httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+codeRequest(changes...).Encode(), nil)
}

func withCookie(r *http.Request, cookie string) *http.Request {
	r.Header.Set("Cookie", cookie)
	return r
}

// userID returns the id of a user.
func (s *site) userID(name string) string {
	s.t.Helper()
	u, err := s.data.UserByUsername(s.t.Context(), name)
	s.must(err)
	return u.ID
}
