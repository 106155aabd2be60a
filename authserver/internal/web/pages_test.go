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

// codeApp is a client that sends its users to the pages; those who run the site have
// consented for them.
const codeApp = "code-app"

// addCodeApp registers it.
func (s *site) addCodeApp() {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: codeApp, Name: "Code App", Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile"},
		RedirectURIs: []string{"https://app.example/back"}, FirstParty: true, CreatedAt: s.clock(),
	}))
}

// codeRequest is the query that it sends users with, with changes: name, value and so on.
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

// pageForm is what a browser sends from a page.
func pageForm(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// loginForm is what the login page sends for it.
func loginForm() *http.Request { return loginOf(john, password) }

func loginOf(username, password string) *http.Request {
	return pageForm("/login", url.Values{"username": {username}, "password": {password}, "continue": {codeRequest().Encode()}})
}

// sessionCookie logs a browser in.
func (s *site) sessionCookie() string {
	s.t.Helper()
	cookie, _, _ := strings.Cut(s.serve(loginForm()).header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	if value == "" {
		s.t.Fatal("the login gives no cookie")
	}
	s.hide(value)
	return cookie
}

// What comes of a page is counted, not that there was one, and whoever is told to come
// back is told when.
func TestMetricsOfThePages(t *testing.T) {
	s := newSite(t, func(cfg *web.Config) {
		check := cfg.Passwords.Check
		cfg.Passwords = passwords(func(ctx context.Context, a account.Attempt) (account.User, error) {
			err, ok := map[string]error{
				"throttled": &account.ThrottledError{Wait: 90 * time.Second}, "crowded": account.ErrOverloaded, "down": store.ErrUnavailable,
			}[a.Username]
			if ok {
				return account.User{}, err
			}
			return check(ctx, a)
		})
	})
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, tt := range []struct {
		what       string
		request    *http.Request
		status     int
		retryAfter string
		says       string // in the page, or where the browser is sent
	}{
		{"wrong password", loginOf(john, guess), 400, "", "do not belong together"},
		{"no password", loginOf(john, ""), 400, "", "do not belong together"},
		{"throttled", loginOf("throttled", guess), 429, "90", "Try again in 90 seconds."},
		{"too many at once", loginOf("crowded", guess), 503, "1", "Many people are logging in right now."},
		{"no database", loginOf("down", guess), 503, "2", "cannot reach its data"},
		{"broken form", pageForm("/login", url.Values{}), 400, "", "This link is broken"},
		{"a link of nobody", page("client_id", "nobody"), 400, "", "is not registered"},
		{"no redirect URI", page("redirect_uri", ""), 400, "", "redirect_uri is missing"},
		{"another redirect URI", page("redirect_uri", "https://evil.example/"), 400, "", "letter by letter"},
		{"a login page", page(), 200, "", `name="password"`},
		{"a consent page", withCookie(page("prompt", "consent"), cookie), 200, "", "prompt=login&#43;consent"},
		{"no page wanted", page("prompt", "none"), 303, "", "error=login_required"},
		{"denied", withCookie(pageForm("/consent", url.Values{"continue": {codeRequest().Encode()}, "user": {s.user(john)}}), cookie), 303, "", "error=access_denied"},
		{"a wrong request", withCookie(page("response_type", "token"), cookie), 303, "", "error=unsupported_response_type"},
		{"a code", withCookie(page(), cookie), 303, "", "code="},
	} {
		got := s.serve(tt.request)
		if got.status != tt.status || got.header.Get("Retry-After") != tt.retryAfter || !strings.Contains(got.header.Get("Location")+got.text, tt.says) {
			t.Errorf("%s: %d %v\n%s", tt.what, got.status, got.header, got.text)
		}
	}
	want := map[string]float64{
		"login ok": 1, "login invalid_grant": 2, "login temporarily_unavailable": 3, "login refused": 1,
		"authorize refused": 3, "authorize ok": 3, "authorize login_required": 1, "consent access_denied": 1, "authorize unsupported_response_type": 1,
	}
	if diff := cmp.Diff(want, s.counted()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if n := strings.Count(s.log.String(), "request failed"); n != 1 {
		t.Errorf("%d errors are in the log, want that of the database:\n%s", n, s.log)
	}
}

// page is a visit of the authorization endpoint, with changes to what the app asks for.
func page(changes ...string) *http.Request {
	return httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+codeRequest(changes...).Encode(), nil)
}

func withCookie(r *http.Request, cookie string) *http.Request {
	r.Header.Set("Cookie", cookie)
	return r
}

// user returns the id of a user.
func (s *site) user(name string) string {
	s.t.Helper()
	u, err := s.data.UserByUsername(s.t.Context(), name)
	s.must(err)
	return u.ID
}
