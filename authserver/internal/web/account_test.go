package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// User-Agent headers of browsers.
const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
)

// accountSite is a site with two users. John is logged in with a browser.
type accountSite struct {
	*site
	cookie string
	user   account.User
}

const jane = "jane.smith"

func newAccountSite(t *testing.T, change ...func(*web.Config)) *accountSite {
	t.Helper()
	s := &accountSite{site: newSite(t, change...)}
	s.hide(newPassword)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	s.must(err)
	u, err := account.New(jane, "Jane Smith", string(hash), s.clock())
	s.must(err)
	s.must(s.data.CreateUser(t.Context(), u))
	s.user, err = s.data.UserByUsername(t.Context(), john)
	s.must(err)
	s.cookie = s.logInWith(firefox, john, password, "/account").cookie()
	return s
}

// cookie returns the session cookie that a response sets.
func (a answer) cookie() string {
	a.t.Helper()
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if !strings.Contains(cookie, "=") {
		a.t.Fatalf("no cookie in %d %v\n%s", a.status, a.header, a.text)
	}
	return cookie
}

// logInWith sends the login form of the account page with a browser.
func (s *accountSite) logInWith(agent, username, password, next string) answer {
	s.t.Helper()
	r := pageForm("/account/login", url.Values{"username": {username}, "password": {password}, "continue": {next}})
	r.Header.Set("User-Agent", agent)
	a := s.serve(r)
	if cookie := a.header.Get("Set-Cookie"); cookie != "" {
		_, value, _ := strings.Cut(a.cookie(), "=")
		s.hide(value)
	}
	return a
}

func (s *accountSite) open(path string) answer { return s.openAs(s.cookie, path) }

func (s *accountSite) openAs(cookie, path string) answer {
	s.t.Helper()
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+path, nil), cookie))
}

// submit sends a form of John's account page: names and values.
func (s *accountSite) submit(path string, fields ...string) answer {
	s.t.Helper()
	return s.serve(withCookie(pageForm(path, s.form(fields...)), s.cookie))
}

func (s *accountSite) form(fields ...string) url.Values {
	form := url.Values{"user": {s.user.ID}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

// leadsTo checks that a response redirects to a path.
func (a answer) leadsTo(what, path string) {
	a.t.Helper()
	if a.status != http.StatusSeeOther || a.header.Get("Location") != path {
		a.t.Errorf("%s: %d to %q, want 303 to %q\n%s", what, a.status, a.header.Get("Location"), path, a.text)
	}
}

// lacks checks that a page does not have a text.
func (a answer) lacks(what, text string) {
	a.t.Helper()
	if strings.Contains(a.text, text) {
		a.t.Errorf("%s: %q is in\n%s", what, text, a.text)
	}
}

// addAppGrant gives an app a grant of a user, in the session of a cookie unless that is empty, and returns the grant.
func (s *accountSite) addAppGrant(u account.User, clientID, cookie string) grant.Grant {
	s.t.Helper()
	g := grant.Grant{
		Type: oauth.GrantPassword, ClientID: clientID, UserID: u.ID, Audience: audience, Scope: oauth.Scope{"profile"},
		CreatedAt: s.clock(), ExpiresAt: s.clock().Add(time.Hour), PasswordVersion: u.PasswordVersion,
		Place: account.Place{Address: "198.51.100.7", Agent: "curl"},
	}
	if cookie != "" {
		g.Session = s.digestOf(cookie)
	}
	c, err := s.data.ClientByID(s.t.Context(), clientID)
	s.must(err)
	g.SecretDigest = c.SecretDigest
	g.Number, err = s.data.StartGrant(s.t.Context(), g)
	s.must(err)
	return g
}

// isActive reports whether a grant is not revoked.
func (s *accountSite) isActive(g grant.Grant) bool {
	s.t.Helper()
	now, err := s.data.GrantByNumber(s.t.Context(), g.Number)
	s.must(err)
	return now.RevokedAt.IsZero()
}

func TestAccountNeedsALogin(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/", nil)).says("the landing page", 200, `href="/account"`)
	for _, path := range []string{"/account", "/account/name", "/account/password", "/account/data", "/account/delete"} {
		page := s.openAs("", path)
		page.says(path, http.StatusOK, `action="/account/login"`)
		page.says(path, http.StatusOK, `name="continue" value="`+path+`"`)
		s.logInWith(firefox, john, password, path).leadsTo("login for "+path, path)
		s.serve(pageForm(path, s.form("name", "X"))).lacks("a form without a session", "X")
	}
	for _, next := range []string{"", "https://evil.example/", "//evil.example", "/account/../x", "/logout"} {
		s.logInWith(firefox, john, password, next).leadsTo(next, "/account")
	}
	s.logInWith(firefox, john, guess, "/account/name").says("a wrong password", http.StatusBadRequest, wrongPassword)
	s.logInWith(firefox, john, guess, "/account/name").says("the page", http.StatusBadRequest, `value="/account/name"`)
	s.logInWith(firefox, disabled, password, "/account").says("a disabled user", http.StatusBadRequest, wrongPassword)

	s.must(s.data.DisableUser(t.Context(), john, s.clock()))
	s.open("/account").says("after the user was disabled", http.StatusOK, `action="/account/login"`)
	s.submit("/account/name", "name", "X").leadsTo("a form after that", "/account/name")
}

func TestAccountPageShowsTheUser(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	page := s.open("/account")
	for _, text := range []string{"John Doe", john, "none", "Firefox on Linux", "192.0.2.1", "this browser",
		`<time datetime="2026-03-01T12:00:00Z">1 March 2026, 12:00 UTC</time>`, "No app has access"} {
		page.says("the page", http.StatusOK, text)
	}
	page.lacks("one login", "everywhere else")
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'") ||
		!strings.HasSuffix(policy, "form-action 'self'") ||
		page.header.Get("Cache-Control") != "no-store" || strings.Contains(page.text, "<script") {
		t.Errorf("headers %v\n%s", page.header, page.text)
	}
	_, err := s.data.UpdateUser(t.Context(), john, s.clock(), func(u account.User) (account.User, error) {
		u.Email, u.Name = `"<b>"@example.com`, `<script>alert("x")</script>`
		return u, nil
	})
	s.must(err)
	s.cookie = s.logInWith(`<img src=x onerror=y>/1`, john, password, "/account").cookie()
	page = s.open("/account")
	page.lacks("markup in names", "<b>")
	page.lacks("markup in names", "<script")
	page.lacks("markup in a browser's name", "<img")
	page.says("an address that nobody has verified", http.StatusOK, "(not verified)")
	page.says("another browser", http.StatusOK, "Unknown browser")
	r := withCookie(httptest.NewRequest(http.MethodGet, issuer+"/account?done=password", nil), s.cookie)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	s.serve(r).lacks("a link of another site", "was changed")
	s.open("/account?done=%3Cb%3E").lacks("an unknown notice", "role=\"status\"")
}

func TestChangeName(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.open("/account/name").says("the form", http.StatusOK, `value="John Doe"`)
	for name, want := range map[string]string{
		"": "The name is empty.", "  ": "The name is empty.", "a\tb": "cannot be printed",
		"\u202eevil": "cannot be printed", "\u3164": "cannot be printed", strings.Repeat("x", 129): "longer than 128 bytes",
	} {
		s.submit("/account/name", "name", name).says(strconv.Quote(name), http.StatusBadRequest, want)
	}
	s.submit("/account/name", "name", " Zoë Doe-Łuk ").leadsTo("a name", "/account?done=name")
	s.open("/account?done=name").says("after it", http.StatusOK, "<dd>Zoë Doe-Łuk</dd>")
	s.open("/account?done=name").says("after it", http.StatusOK, "Your name was changed.")
	s.expectEvent("account_name_changed", "user=usr_x address=192.0.2.1")
}

// expectEvent checks that the log has an event with these fields, once.
func (s *site) expectEvent(event, fields string) {
	s.t.Helper()
	found := 0
	for _, line := range s.events() {
		if strings.Contains(line, "event="+event+" ") {
			found++
			if !strings.HasSuffix(line, "event="+event+" "+fields) {
				s.t.Errorf("got the line %s, want it to end in %q", line, fields)
			}
		}
	}
	if found != 1 {
		s.t.Errorf("the log has the event %s %d times, want once", event, found)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	elsewhere := s.logInWith(iphone, john, password, "/account").cookie()
	here, ended := s.addAppGrant(s.user, backend, s.cookie), s.addAppGrant(s.user, backend, elsewhere)
	loose := s.addAppGrant(s.user, backend, "")
	change := func(current, next string) answer {
		return s.submit("/account/password", "password", current, "new_password", next)
	}
	s.open("/account/password").says("the form", http.StatusOK, "At least 8 characters")
	for what, tt := range map[string]struct{ current, next, says string }{
		"a wrong password":   {guess, newPassword, "The password is wrong."},
		"no password":        {"", newPassword, "The password is wrong."},
		"no new password":    {password, "", "Use at least 8 characters."},
		"a short password":   {password, "short", "Use at least 8 characters."},
		"the username":       {password, john, "It is the same as the username."},
		"the same password":  {password, password, "It is the same as the current one."},
		"more than 72 bytes": {password, strings.Repeat("é", 37), "It is too long: only the first 36 of these characters fit (72 bytes)."},
	} {
		change(tt.current, tt.next).says(what, http.StatusBadRequest, tt.says)
	}
	old := s.cookie
	got := change(password, newPassword)
	got.leadsTo("a new password", "/account?done=password")
	s.cookie = got.cookie()
	_, value, _ := strings.Cut(s.cookie, "=")
	s.hide(value)
	s.open("/account?done=password").says("this browser", http.StatusOK, "Your password was changed.")
	s.openAs(old, "/account").says("a copy of its cookie", http.StatusOK, `action="/account/login"`)
	s.openAs(elsewhere, "/account").says("another browser", http.StatusOK, `action="/account/login"`)
	if s.isActive(here) || s.isActive(ended) || s.isActive(loose) {
		t.Errorf("active: here %v, elsewhere %v, without a session %v; want none",
			s.isActive(here), s.isActive(ended), s.isActive(loose))
	}
	s.logInWith(firefox, john, password, "/account").says("the old password", http.StatusBadRequest, wrongPassword)
	s.logInWith(firefox, john, newPassword, "/account").leadsTo("the new password", "/account")
	requests, err := s.data.TakeMailRequests(t.Context(), s.clock(), s.clock().Add(time.Minute), 10)
	if err != nil || len(requests) != 1 || requests[0].Kind != mail.PasswordChanged || requests[0].UserID != s.user.ID {
		t.Errorf("mails: %+v, %v", requests, err)
	}
	s.expectEvent("account_password_changed", "user=usr_x address=192.0.2.1")
}

// Passwords cannot be guessed on the account page: the tries count as those of logins do.
func TestAccountPasswordsAreThrottled(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	for range account.AddressLimit.Free / 2 {
		s.submit("/account/password", "password", guess, "new_password", newPassword).
			says("a guess", http.StatusBadRequest, "The password is wrong.")
		s.submit("/account/delete", "username", john, "password", guess).
			says("a guess", http.StatusBadRequest, "The password is wrong.")
	}
	for path, fields := range map[string][]string{
		"/account/password": {"password", password, "new_password", newPassword},
		"/account/delete":   {"username", john, "password", password},
		"/account/login":    {"username", john, "password", password},
	} {
		got := s.submit(path, fields...)
		got.says(path, http.StatusTooManyRequests, "Too many failed attempts. Try again in 1 second.")
		if got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", path, got.header.Get("Retry-After"))
		}
	}
	s.wait(time.Minute)
	s.submit("/account/password", "password", password, "new_password", newPassword).
		leadsTo("after a wait", "/account?done=password")
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	g := s.addAppGrant(s.user, backend, s.cookie)
	remove := func(username, password string) answer {
		return s.submit("/account/delete", "username", username, "password", password)
	}
	s.open("/account").says("the page", http.StatusOK, `href="/account/delete"`)
	s.open("/account/delete").says("the form", http.StatusOK, "This cannot be undone.")
	for _, name := range []string{"", "jane.smith", "john", "yes"} {
		remove(name, password).says(name, http.StatusBadRequest, "That is not your username.")
	}
	remove(john, "").says("no password", http.StatusBadRequest, "The password is wrong.")
	remove(john, guess).says("a wrong password", http.StatusBadRequest, "The password is wrong.")
	got := remove(" "+john, password)
	got.leadsTo("the deletion", "/account/deleted")
	if !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("the cookie is kept: %v", got.header)
	}
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/account/deleted", nil)).says("after it", 200, "was deleted")
	s.open("/account").says("the session", http.StatusOK, `action="/account/login"`)
	s.logInWith(firefox, john, password, "/account").says("a login", http.StatusBadRequest, wrongPassword)
	if s.isActive(g) {
		t.Error("the grant is active")
	}
	remove(john, password).leadsTo("again", "/account/delete")
	s.expectEvent("account_deleted", "user=usr_x address=192.0.2.1")
}

func TestDemoAccountIsNotDeleted(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t, func(cfg *web.Config) { cfg.Accounts.Login.Demo = true; demoUser(t, cfg) })
	s.cookie = s.logInWith(firefox, "demo.user", password, "/account").cookie()
	var err error
	s.user, err = s.data.UserByUsername(t.Context(), "demo.user")
	s.must(err)
	s.open("/account").lacks("the page", "/account/delete")
	s.open("/account/delete").says("the form", http.StatusBadRequest, "belongs to the demo")
	s.submit("/account/delete", "username", "demo.user", "password", password).
		says("the deletion", http.StatusBadRequest, "belongs to the demo")
	s.submit("/account/password", "password", password, "new_password", newPassword).
		leadsTo("a new password", "/account?done=password")
}

// demoUser adds a user of the demo.
func demoUser(t *testing.T, cfg *web.Config) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	u, err := account.New("demo.user", "Demo", string(hash), cfg.Now())
	if err != nil {
		t.Fatal(err)
	}
	u.Demo = true
	if err := cfg.Store.CreateUser(context.Background(), u); err != nil {
		t.Fatal(err)
	}
}

// A form counts only from our own pages, in the session of the user who saw it.
func TestAccountFormsRefused(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	hers := s.logInWith(iphone, jane, password, "/account").cookie()
	g := s.addAppGrant(s.user, backend, s.cookie)
	forms := map[string]url.Values{
		"/account/name":     s.form("name", "Changed"),
		"/account/password": s.form("password", password, "new_password", newPassword),
		"/account/logins":   s.form("login", strconv.FormatInt(g.Number, 10)),
		"/account/apps":     s.form("client", backend),
		"/account/data":     s.form(),
		"/account/delete":   s.form("username", john, "password", password),
	}
	for path, form := range forms {
		for name, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
			r := withCookie(pageForm(path, form), s.cookie)
			r.Header.Set(name, value)
			s.serve(r).says(path+" of another site", http.StatusForbidden, "another site")
		}
		page := regexp.MustCompile("/logins$|/apps$").ReplaceAllString(path, "")
		s.serve(withCookie(pageForm(path, form), hers)).leadsTo(path+" in another user's session", page)
		s.serve(pageForm(path, form)).leadsTo(path+" without a session", page)
		twice := url.Values{"user": {s.user.ID, s.user.ID}}
		s.serve(withCookie(pageForm(path, twice), s.cookie)).says("two users", http.StatusBadRequest, "could not be read")
		large := s.form("name", strings.Repeat("x", 17<<10))
		s.serve(withCookie(pageForm(path, large), s.cookie)).says("a large form", http.StatusBadRequest, "could not be read")
		nul := s.form("name", "\x00")
		s.serve(withCookie(pageForm(path, nul), s.cookie)).says("NUL", http.StatusBadRequest, "could not be read")
	}
	s.open("/account").says("afterwards", http.StatusOK, "John Doe")
	if !s.isActive(g) {
		t.Error("the grant was revoked")
	}
}
