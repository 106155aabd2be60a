package console_test

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// site is an authorization server with a console: the real thing behind a real HTTP server, with a clock that tests
// move. ada is its administrator, and grace another user.
type site struct {
	t    *testing.T
	url  string
	data *store.Store

	mu     sync.Mutex
	now    time.Time
	logins int
}

// newSite starts a site; change, if any, gets the last word on its settings.
func newSite(t *testing.T, change ...func(*server.Settings)) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	database := "sqlite:" + storetest.SQLite(t)
	if s.data, err = store.Open(t.Context(), database, databasetest.Pool); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.data.Close() })
	keys, err := keyring.FromSecret(strings.Repeat("key of the tests ", 4))
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := account.NewHasher(4)
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewUnstartedServer(nil)
	s.url = "http://" + listener.Listener.Addr().String()
	settings := server.Settings{
		Issuer: s.url, Audience: "https://api.example", Now: s.clock,
		AccessTokenLifetime: 30 * time.Minute, RefreshIdle: time.Hour, RefreshLifetime: time.Hour,
		ClientDocuments: []string{"off"}, Registration: "off", Demo: server.DemoOff,
		PasswordWorkers: 2, PasswordQueue: 64, PasswordWait: time.Minute,
		Admin: server.Administration{AdminConsole: true},
	}
	settings.Database.DatabaseURL = database
	for _, c := range change {
		c(&settings)
	}
	background := server.NewBackground(t.Context(), slog.New(slog.DiscardHandler))
	t.Cleanup(background.Stop)
	listener.Config.Handler, err = server.Handler(t.Context(), settings, server.Parts{
		Keys: keys, Data: s.data, Hasher: hasher, Registry: httpserver.NewRegistry("test"),
		Background: background, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener.Start()
	t.Cleanup(listener.Close)
	s.addUser("ada", "admins")
	s.addUser("grace")
	return s
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// pass lets time pass.
func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// addUser adds a user who is in groups, and has no usable password.
func (s *site) addUser(username string, groups ...string) {
	s.t.Helper()
	user, err := account.New(username, username, "no password", s.clock())
	if err != nil {
		s.t.Fatal(err)
	}
	user.Groups = groups
	if err := s.data.CreateUser(s.t.Context(), user); err != nil {
		s.t.Fatal(err)
	}
}

// user returns a user as stored.
func (s *site) user(username string) account.User {
	s.t.Helper()
	user, err := s.data.UserByUsername(s.t.Context(), username)
	if err != nil {
		s.t.Fatal(err)
	}
	return user
}

// setPassword gives a user a password.
func (s *site) setPassword(username, password string) {
	s.t.Helper()
	hasher, err := account.NewHasher(4)
	if err != nil {
		s.t.Fatal(err)
	}
	hash, err := hasher.Hash(password)
	if err == nil {
		err = s.data.SetPassword(s.t.Context(), username, hash, s.clock())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// addFactor gives a user an authenticator app.
func (s *site) addFactor(username string) {
	s.t.Helper()
	user, keep := s.user(username), secret.Digest(s.logInBy(username, grant.MethodPassword).cookie)
	err := s.data.AddSecondFactor(s.t.Context(), user, secondfactor.Completion{NewFactor: &secondfactor.Factor{
		ID: "app of " + username, UserID: user.ID, Kind: secondfactor.KindTOTP, Name: "Phone", Secret: "sealed",
		CreatedAt: s.clock(),
	}}, account.Renewal{From: keep, To: keep}, s.clock())
	if err != nil {
		s.t.Fatal(err)
	}
}

// browser is a browser at the site.
type browser struct {
	s      *site
	cookie string
	user   string // id of the user who is logged in
}

// logIn returns a browser that the user has just logged in with, with a second factor.
func (s *site) logIn(username string) *browser {
	s.t.Helper()
	return s.logInBy(username, grant.MethodPassword, grant.MethodOTP, grant.MethodMultiFactor)
}

// logInBy returns a browser that the user has just logged in with, by the methods (RFC 8176).
func (s *site) logInBy(username string, methods ...string) *browser {
	s.t.Helper()
	s.logins++
	value, user := "session "+strconv.Itoa(s.logins)+" of "+username, s.user(username)
	err := s.data.StartSession(s.t.Context(), store.NewSession{
		Digest: secret.Digest(value), User: user, Methods: methods,
		CreatedAt: s.clock(), ExpiresAt: s.clock().Add(grant.SessionLifetime),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s, value, user.ID}
}

// shown is what the browser got.
type shown struct {
	status   int
	location string
	header   http.Header
	body     string
}

// heading returns the heading of the page.
func (p shown) heading() string {
	found := regexp.MustCompile(`<h1>(.*?)</h1>`).FindStringSubmatch(p.body)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// field returns the value of a hidden field of the page.
func (p shown) field(name string) string {
	found := regexp.MustCompile(`<input type="hidden" name="` + name + `" value="([^"]*)"`).FindStringSubmatch(p.body)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// has reports whether the page shows a text.
func (p shown) has(text string) bool { return strings.Contains(html.UnescapeString(p.body), text) }

// get opens a page.
func (b *browser) get(path string) shown {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), http.MethodGet, b.s.url+path, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return b.send(r)
}

// post sends a form of the browser's user, given as alternating names and values.
func (b *browser) post(path string, pairs ...string) shown {
	b.s.t.Helper()
	form := url.Values{"user": {b.user}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.send(b.request(path, form))
}

// request returns the request of a form, as a browser sends it from our own page.
func (b *browser) request(path string, form url.Values) *http.Request {
	b.s.t.Helper()
	r, err := http.NewRequestWithContext(b.s.t.Context(), http.MethodPost, b.s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.s.url)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (b *browser) send(r *http.Request) shown {
	b.s.t.Helper()
	r.Header.Set("Accept", "text/html")
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "hallpass", Value: b.cookie})
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return shown{response.StatusCode, response.Header.Get("Location"), response.Header, string(body)}
}

// refused checks that a form was refused with a status, and a text in the page.
func (p shown) refused(t *testing.T, status int, text string) {
	t.Helper()
	if p.status != status || !p.has(text) || !strings.Contains(p.body, `role="alert"`) {
		t.Errorf("status %d, want %d and %q:\n%s", p.status, status, text, p.body)
	}
}

// went checks that the browser was sent to a page of the console.
func (p shown) went(t *testing.T, path string) {
	t.Helper()
	if p.status != http.StatusSeeOther || p.location != path {
		t.Errorf("status %d to %q, want to go to %q:\n%s", p.status, p.location, path, p.body)
	}
}
