package bff_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bff"
)

// A user logs in, the page calls the API, the access token is refreshed, and the user logs out. The browser
// never sees a token of the API.
func TestLoginCallRefreshLogout(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	if b.loggedIn() {
		t.Error("logged in before the login")
	}
	b.want("call before the login", b.page("GET", "/api/items/42"), http.StatusUnauthorized)
	b.login()
	if !b.loggedIn() || len(b.cookies) != 1 {
		t.Fatalf("not logged in: %v", b.cookies)
	}
	resp := b.send("POST", "/api/items/4%2F2?a=b%20c", b.fromPage(), "the body")
	got := b.echoed(resp)
	if got.Method != "POST" || got.URI != "/v1/items/4%2F2?a=b%20c" || got.Body != "the body" ||
		!strings.HasPrefix(got.Header.Get("Authorization"), "Bearer eyJ") {
		t.Errorf("the API got %+v", got)
	}
	first := got.Header.Get("Authorization")

	a.auth.clock.pass(10*time.Minute - bff.DefaultRefreshBefore)
	old := b.copy()
	resp = b.page("GET", "/api/items/42")
	if got := b.echoed(resp).Header.Get("Authorization"); got == first || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("not refreshed, or cached: %v", resp.Header)
	}
	b.want("second call", b.page("GET", "/api/items/42"), http.StatusOK)
	old.want("call with the cookies of before", old.page("GET", "/api/items/42"), http.StatusOK)
	if n := a.auth.refreshCount(); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}

	stolen := b.copy()
	resp = b.page("POST", "/bff/logout")
	b.want("logout", resp, http.StatusOK)
	if !strings.Contains(resp.body, a.auth.URL+"/end_session?") || !strings.Contains(resp.body, "id_token_hint=") ||
		!strings.Contains(resp.body, `"revoked":true`) || len(b.cookies) != 0 {
		t.Errorf("logout: %s, cookies %v", resp.body, b.cookies)
	}
	eventually(t, "the status bit", func() bool { return !stolen.copy().loggedIn() })
	stolen.want("call with replayed cookies", stolen.page("GET", "/api/items/42"), http.StatusUnauthorized)
	if len(stolen.cookies) != 0 {
		t.Error("the cookies of the ended session were not removed")
	}
	b.want("logout without a session", b.page("POST", "/bff/logout"), http.StatusOK)
}

// Requests that need a refresh at the same time share it, and it goes on if the browser hangs up.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	a.auth.clock.pass(time.Hour)
	wait := make(chan struct{})
	a.auth.mu.Lock()
	a.auth.wait = wait
	a.auth.mu.Unlock()
	var tabs sync.WaitGroup
	for range 20 {
		tab := b.copy()
		tabs.Go(func() { tab.want("call", tab.page("GET", "/api/items/42"), http.StatusOK) })
	}
	eventually(t, "the refresh", func() bool { return a.auth.refreshCount() > 0 })
	close(wait)
	tabs.Wait()
	if n := a.auth.refreshCount(); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// While the authorization server is down, nobody is logged out.
func TestServerDown(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	b.want("call", b.page("GET", "/api/items/42"), http.StatusOK)
	a.auth.setDown(true)
	a.auth.clock.pass(10*time.Minute - time.Second)
	b.want("call with a token that is still valid", b.page("GET", "/api/items/42"), http.StatusOK)
	a.auth.clock.pass(time.Minute)
	for _, path := range []string{"/api/items/42", "/bff/session"} {
		resp := b.page("GET", path)
		b.want("GET "+path, resp, http.StatusServiceUnavailable)
		if resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) != 0 {
			t.Errorf("GET %s: %v", path, resp.Header)
		}
	}
	a.auth.setDown(false)
	b.want("call when it is up again", b.page("GET", "/api/items/42"), http.StatusOK)

	a.auth.setDown(true)
	resp := b.page("POST", "/bff/logout")
	if !strings.Contains(resp.body, `"revoked":false`) || len(b.cookies) != 0 {
		t.Errorf("logout: %s, cookies %v", resp.body, b.cookies)
	}
	a.replace(func(*bff.Config) {}) // it knows no metadata yet
	b.want("login", b.send("GET", "/bff/login", nil, ""), http.StatusServiceUnavailable)
}

// A session ends if its refresh token is refused, if the login is revoked elsewhere, and after its lifetime.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*app){
		"refresh token refused": func(a *app) {
			a.replace(func(c *bff.Config) { c.Guard = nil })
			a.auth.revokeAll()
			a.auth.clock.pass(time.Hour)
		},
		"revoked elsewhere": func(a *app) { a.auth.revokeAll() },
		"lifetime":          func(a *app) { a.auth.clock.pass(bff.DefaultLifetime) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, nil)
			b := a.browser()
			b.login()
			b.want("call", b.page("GET", "/api/items/42"), http.StatusOK)
			end(a)
			eventually(t, "the end", func() bool { return !b.copy().loggedIn() })
			called := a.called.Load()
			b.want("call", b.page("GET", "/api/items/42"), http.StatusUnauthorized)
			if a.called.Load() != called || len(b.cookies) != 0 {
				t.Errorf("the API was called, or the cookies are still there: %v", b.cookies)
			}
		})
	}
}

// The authorization server ends sessions by the back channel.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.Store, c.Guard = new(bff.MemoryStore), nil })
	b := a.browser()
	b.login()
	end := func(token string) response {
		t.Helper()
		return a.backchannelLogout(t, token)
	}
	for name, token := range map[string]string{
		"nothing":         "",
		"forged":          newAuthServer(t).logoutToken(map[string]any{"iss": a.auth.URL}),
		"not signed":      a.auth.withAlgorithm("none", nil),
		"public key":      a.auth.withAlgorithm("HS256", a.auth.publicKey()),
		"other client":    a.auth.logoutToken(map[string]any{"aud": "other"}),
		"other issuer":    a.auth.logoutToken(map[string]any{"iss": "https://other.example"}),
		"without events":  a.auth.logoutToken(map[string]any{"events": nil}),
		"with a nonce":    a.auth.logoutToken(map[string]any{"nonce": "n"}),
		"expired":         a.auth.logoutToken(map[string]any{"exp": a.auth.clock.time().Add(-time.Hour).Unix()}),
		"without sid":     a.auth.logoutToken(map[string]any{"sid": ""}),
		"an ID token":     a.auth.sign(map[string]any{"iss": a.auth.URL, "aud": clientID, "sub": userID, "sid": "the sid"}, "JWT"),
		"too large":       strings.Repeat("x", 1<<20),
		"of another time": a.auth.logoutToken(map[string]any{"sid": "other sid"}),
	} {
		status := http.StatusBadRequest
		if name == "of another time" {
			status = http.StatusOK
		}
		a.auth.clock.pass(keysPause) // so that the keys are fetched again for this token
		b.want(name, end(token), status)
	}
	if !b.loggedIn() {
		t.Fatal("a refused logout token has ended the session")
	}
	logout := a.auth.logoutToken(nil)
	b.want("logout", end(logout), http.StatusOK)
	stolen := b.copy()
	if b.loggedIn() || len(b.cookies) != 0 {
		t.Error("still logged in")
	}
	a.auth.clock.pass(time.Minute)
	b.login() // with the same sid
	b.want("replayed logout", end(logout), http.StatusOK)
	if !b.loggedIn() || stolen.loggedIn() {
		t.Error("the logout ended a later login, or not the earlier one")
	}
	stolen = b.copy()
	b.page("POST", "/bff/logout")
	if stolen.loggedIn() {
		t.Error("a copy of the cookies works after the logout")
	}

	a.auth.clock.pass(time.Minute)
	b.login()
	behind := a.auth.logoutToken(map[string]any{"iat": a.auth.clock.time().Add(-3 * time.Second).Unix()})
	b.want("logout by a replica whose clock is behind", end(behind), http.StatusOK)
	if b.loggedIn() {
		t.Error("still logged in after a logout by a replica whose clock is behind")
	}
}

// The store remembers a logout while the authorization server is down.
func TestLogoutWhileServerIsDown(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.Store, c.Guard = new(bff.MemoryStore), nil })
	b := a.browser()
	b.login()
	stolen := b.copy()
	a.auth.setDown(true)
	if resp := b.page("POST", "/bff/logout"); !strings.Contains(resp.body, `"revoked":false`) {
		t.Errorf("logout: %s", resp.body)
	}
	a.auth.setDown(false)
	if stolen.loggedIn() {
		t.Error("a copy of the cookies works after the logout")
	}
}

// Without a sid, nobody knows which sessions a logout is about: it ends no other one.
func TestLogoutWithoutSessionID(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.Store, c.Guard = new(bff.MemoryStore), nil })
	a.auth.idToken = func(claims map[string]any) map[string]any {
		delete(claims, "sid")
		return claims
	}
	b, other := a.browser(), a.browser()
	b.login()
	other.login()
	b.want("logout", b.page("POST", "/bff/logout"), http.StatusOK)
	if b.loggedIn() || !other.loggedIn() {
		t.Error("still logged in, or the logout has ended a session of another browser")
	}
}

// Config errors name the field.
func TestConfig(t *testing.T) {
	t.Parallel()
	valid := bff.Config{
		Issuer: "https://login.example", ClientID: "app", URL: "https://app.example", API: "https://api.example",
		Secrets: []string{secret},
	}
	if _, err := bff.New(valid); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		field  string
		change func(*bff.Config)
	}{
		{"Issuer", func(c *bff.Config) { c.Issuer = "" }},
		{"Issuer", func(c *bff.Config) { c.Issuer = "http://login.example" }},
		{"ClientID", func(c *bff.Config) { c.ClientID = "" }},
		{"URL", func(c *bff.Config) { c.URL = "https://app.example/" }},
		{"URL", func(c *bff.Config) { c.URL = "https://App.example" }},
		{"URL", func(c *bff.Config) { c.URL = "https://app.example:443" }},
		{"URL", func(c *bff.Config) { c.URL = "http://app.example" }},
		{"API", func(c *bff.Config) { c.API = "api.example" }},
		{"API", func(c *bff.Config) { c.API = "https://user@api.example" }},
		{"Secrets", func(c *bff.Config) { c.Secrets = nil }},
		{"Secrets", func(c *bff.Config) { c.Secrets = []string{secret, "short"} }},
		{"InsecureCookies", func(c *bff.Config) { c.InsecureCookies = true }},
	} {
		cfg := valid
		tt.change(&cfg)
		if _, err := bff.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "bff.Config."+tt.field+": ") {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
}
