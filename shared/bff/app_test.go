package bff_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bff"
)

// app is a Handler in front of an API, with a browser.
type app struct {
	*httptest.Server
	t       testing.TB
	auth    *authServer
	cfg     bff.Config
	handler atomic.Pointer[bff.Handler]
	api     *httptest.Server
	called  atomic.Int64 // calls of the API
	reply   func(http.ResponseWriter, *http.Request)
}

const secret = "a secret that encrypts cookies, 32 bytes or more"

// newApp starts an authorization server, an API, and a Handler with a changed Config.
func newApp(t testing.TB, change func(*bff.Config)) *app {
	t.Helper()
	a := &app{t: t, auth: newAuthServer(t)}
	guard := a.auth.guard()
	a.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.called.Add(1)
		if a.reply != nil {
			a.reply(w, r)
			return
		}
		guard.Require("items:read")(http.HandlerFunc(echo)).ServeHTTP(w, r)
	}))
	t.Cleanup(a.api.Close)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.handler.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	a.cfg = bff.Config{
		Issuer: a.auth.URL, ClientID: clientID, ClientSecret: clientSecret, URL: a.URL, API: a.api.URL + "/v1",
		Secrets: []string{secret}, Scopes: []string{"items:read"}, Guard: guard, Now: a.auth.clock.time,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&a.cfg)
	}
	a.handler.Store(a.open(a.cfg))
	return a
}

func (a *app) open(cfg bff.Config) *bff.Handler {
	a.t.Helper()
	h, err := bff.New(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	return h
}

// replace replaces the Handler by one with another configuration.
func (a *app) replace(change func(*bff.Config)) {
	a.t.Helper()
	change(&a.cfg)
	a.handler.Store(a.open(a.cfg))
}

// echo responds with what the API got.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "uri": r.URL.RequestURI(), "header": r.Header, "body": string(body), "host": r.Host,
	})
}

// browser keeps cookies. It sends what the page sends.
type browser struct {
	t       testing.TB
	app     *app
	cookies map[string]string
}

func (a *app) browser() *browser { return &browser{a.t, a, map[string]string{}} }

// copy returns a browser with the same cookies.
func (b *browser) copy() *browser { return &browser{b.t, b.app, maps.Clone(b.cookies)} }

// response is a response whose body was read.
type response struct {
	*http.Response
	body string
}

// fromPage are the headers of a request that a script of the page sends.
func (b *browser) fromPage() http.Header {
	return http.Header{"X-Csrf": {"1"}, "Sec-Fetch-Site": {"same-origin"}, "Origin": {b.app.URL}}
}

// send sends a request with the cookies, and keeps those of the response.
func (b *browser) send(method, path string, header http.Header, body string) response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.app.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		b.keep(c)
	}
	return response{resp, string(text)}
}

// keep stores a cookie as a browser does, after a check of its attributes.
func (b *browser) keep(c *http.Cookie) {
	b.t.Helper()
	site := http.SameSiteStrictMode
	if strings.Contains(c.Name, "-login-") {
		site = http.SameSiteLaxMode
	}
	secure := !b.app.cfg.InsecureCookies
	if !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != site || c.Secure != secure ||
		strings.HasPrefix(c.Name, "__Host-") != secure || len(c.Name)+len(c.Value) > 4096 || c.MaxAge == 0 {
		b.t.Errorf("cookie %s", c)
	}
	if c.MaxAge < 0 {
		delete(b.cookies, c.Name)
		return
	}
	b.cookies[c.Name] = c.Value
}

// page sends a request of the page.
func (b *browser) page(method, path string) response {
	b.t.Helper()
	return b.send(method, path, b.fromPage(), "")
}

// startLogin starts a login and returns the address that the authorization server sends the browser back to.
func (b *browser) startLogin(returnTo string) string {
	b.t.Helper()
	resp := b.send("GET", "/bff/login?return_to="+url.QueryEscape(returnTo), nil, "")
	if resp.StatusCode != http.StatusFound {
		b.t.Fatalf("login: %s %s", resp.Status, resp.body)
	}
	return strings.TrimPrefix(b.app.auth.authorize(b.t, resp.Header.Get("Location")), b.app.URL)
}

// login logs the user in.
func (b *browser) login() {
	b.t.Helper()
	resp := b.send("GET", b.startLogin("/inbox?x=1#y"), nil, "")
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/inbox?x=1#y" {
		b.t.Fatalf("callback: %s %s %s", resp.Status, resp.Header.Get("Location"), resp.body)
	}
}

// backchannelLogout sends a logout token.
func (a *app) backchannelLogout(t testing.TB, token string) response {
	t.Helper()
	b := &browser{t, a, map[string]string{}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return b.send("POST", "/bff/backchannel-logout", header, url.Values{"logout_token": {token}}.Encode())
}

// want checks the status of a response.
func (b *browser) want(what string, resp response, status int) {
	b.t.Helper()
	if resp.StatusCode != status {
		b.t.Errorf("%s: %s, want %d: %s", what, resp.Status, status, resp.body)
	}
}

// loggedIn reports whether /bff/session names the user.
func (b *browser) loggedIn() bool {
	b.t.Helper()
	resp := b.page("GET", "/bff/session")
	b.want("session", resp, http.StatusOK)
	var shown struct {
		User *struct{ Sub, Name string }
	}
	if err := json.Unmarshal([]byte(resp.body), &shown); err != nil {
		b.t.Fatal(err)
	}
	if shown.User != nil && (shown.User.Sub != userID || shown.User.Name != "John Doe") {
		b.t.Errorf("session: %s", resp.body)
	}
	return shown.User != nil
}

// eventually waits until a condition holds that another goroutine brings about.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// echoed is what the API got.
type echoed struct {
	Method, URI, Body, Host string
	Header                  http.Header
}

func (b *browser) echoed(resp response) (e echoed) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(resp.body), &e); err != nil {
		b.t.Fatalf("%s: %v: %s", resp.Status, err, resp.body)
	}
	return e
}
