package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// sessionCookie returns the only cookie that a response sets, but for the one by which a browser is known later.
func (r response) sessionCookie(t *testing.T) *http.Cookie {
	t.Helper()
	var found []*http.Cookie
	for _, line := range r.header["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(cookie.Name, "_browser") {
			found = append(found, cookie)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d with the cookies %q, want one", r.status, r.header["Set-Cookie"])
	}
	return found[0]
}

// Session fixation: every login makes a new cookie. One that an attacker has planted is not
// accepted.
func TestAttackSessionFixation(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	t.Run("a made-up cookie", func(t *testing.T) {
		const planted = "hallpass=planted"
		victim := &visitor{t: t, base: s.authURL, cookie: planted}
		victim.authorize(a).checkPage(t, http.StatusOK, "Log in")
		victim.login(a.query()).location(t)
		if victim.cookie == planted {
			t.Error("the planted cookie is in use")
		}
		thief := &visitor{t: t, base: s.authURL, cookie: planted}
		thief.authorize(a).checkPage(t, http.StatusOK, "Log in")
	})
	t.Run("the attacker's own session", func(t *testing.T) {
		thief := &visitor{t: t, base: s.authURL}
		thief.post("/login", "username", "jane.smith", "password", "anothersecurepass", "continue", a.query()).location(t)
		planted := thief.cookie
		victim := &visitor{t: t, base: s.authURL, cookie: planted}
		victim.login(a.query("prompt", "login")).location(t)
		if victim.cookie == planted {
			t.Error("the cookie is the same after a login")
		}
		thief.authorize(a).checkPage(t, http.StatusOK, "Log in") // the session has ended
	})
	t.Run("before a login there is no cookie", func(t *testing.T) {
		v := &visitor{t: t, base: s.authURL}
		if got := v.authorize(a); got.header.Get("Set-Cookie") != "" {
			t.Errorf("the login page sets %q", got.header.Get("Set-Cookie"))
		}
	})
	t.Run("two cookies with the same name", func(t *testing.T) {
		john := s.visit(t, a)
		v := &visitor{t: t, base: s.authURL, cookie: "hallpass=planted; " + john.cookie}
		v.authorize(a).checkPage(t, http.StatusOK, "Log in") // only the first counts
	})
}

// Neither the cookie nor a form that the browser has kept works after a logout.
func TestAttackReplayAfterLogout(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	third := s.register(t, "third", "https://third.example/callback", "--public")
	john := s.visit(t, a)
	fields := formFields(john.authorize(third).body)
	kept := john.cookie
	out := john.post("/logout")
	if to := out.location(t); to.String() != "/logout" {
		t.Errorf("redirected to %s, want /logout", to)
	}
	if cookie := out.sessionCookie(t); cookie.MaxAge >= 0 || cookie.Value != "" || cookie.Path != "/" {
		t.Errorf("the cookie was not removed: %v", cookie)
	}
	replay := func(t *testing.T) *visitor { return &visitor{t: t, base: s.authURL, cookie: kept} }
	t.Run("the cookie", func(t *testing.T) {
		replay(t).authorize(a).checkPage(t, http.StatusOK, "Log in")
		replay(t).get("/logout").checkPage(t, http.StatusOK, "Logged out")
	})
	t.Run("the consent form", func(t *testing.T) {
		for _, decision := range []string{"allow", "deny"} {
			v := replay(t)
			to := v.post("/consent", append(fields, "decision", decision)...).location(t)
			v.get(to.String()).checkPage(t, http.StatusOK, "Log in")
		}
	})
	t.Run("no consent was stored", func(t *testing.T) {
		s.visit(t, a).authorize(third).checkPage(t, http.StatusOK, "Allow access?")
	})
	t.Run("the logout form", func(t *testing.T) {
		replay(t).post("/logout", "apps", "end").location(t)
	})
}

// A consent form counts only for the user who saw it.
func TestAttackConsentOfAnotherUser(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	third := s.register(t, "third", "https://third.example/callback", "--public")
	john := s.visit(t, a)
	seen := formFields(john.authorize(third).body)
	jane := &visitor{t: t, base: s.authURL, cookie: john.cookie}
	jane.post("/login", "username", "jane.smith", "password", "anothersecurepass", "continue", a.query()).location(t)
	to := jane.post("/consent", append(seen, "decision", "allow")...).location(t)
	jane.get(to.String()).checkPage(t, http.StatusOK, "Allow access?")
}

// Scripts cannot read the session cookie, and forms of other sites do not send it. With an
// https issuer it is sent over TLS only, and another host of the domain cannot set it.
func TestAttackSessionCookie(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	check := func(t *testing.T, name string, secure bool) {
		t.Helper()
		v := &visitor{t: t, base: s.authURL}
		got := v.login(a.query())
		cookie := got.sessionCookie(t)
		if cookie.Name != name || cookie.Secure != secure {
			t.Errorf("the cookie is %s, Secure %v, want %s and %v", cookie.Name, cookie.Secure, name, secure)
		}
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("the cookie is %s, want HttpOnly and SameSite=Lax", cookie)
		}
		if cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge <= 0 {
			t.Errorf("the cookie is %s", cookie)
		}
		if len(cookie.Value) != 43 {
			t.Errorf("the cookie has %d characters, want 256 bits in base64url", len(cookie.Value))
		}
		v.authorize(a).location(t)
		if gone := v.post("/logout").sessionCookie(t); gone.Name != name || gone.Secure != secure || gone.MaxAge >= 0 {
			t.Errorf("the cookie after the logout is %s", gone)
		}
	}
	t.Run("http", func(t *testing.T) { check(t, "hallpass", false) })
	s.admin(t, demoPassword, "user", "set-password", "john.doe", "--bcrypt-cost", "10",
		"--password-min-length", "8") // no demo user any longer
	s.restart(t, "--issuer", "https://login.example.com")
	t.Run("https", func(t *testing.T) {
		check(t, "__Host-hallpass", true)
		v := &visitor{t: t, base: s.authURL}
		v.login(a.query()).location(t)
		if iss := v.authorize(a).location(t).Query().Get("iss"); iss != "https://login.example.com" {
			t.Errorf("iss is %q", iss)
		}
		plainName := &visitor{t: t, base: s.authURL, cookie: strings.TrimPrefix(v.cookie, "__Host-")}
		plainName.authorize(a).checkPage(t, http.StatusOK, "Log in") // any host of the domain could have set it
	})
}

// With prompt=none there is never a page, logged in or not.
func TestAttackSilentAuthorization(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	third := s.register(t, "third", "https://third.example/callback", "--public")
	stranger := &visitor{t: t, base: s.authURL}
	john := s.visit(t, a)
	for _, row := range []struct {
		name   string
		by     *visitor
		to     app
		change []string
		code   string
	}{
		{"nobody is logged in", stranger, a, nil, "login_required"},
		{"nobody is logged in, and the scope is invalid", stranger, a, []string{"scope", "admin"}, "login_required"},
		{"the login is too old", john, a, []string{"max_age", "0"}, "login_required"},
		{"no consent yet", john, third, nil, "consent_required"},
		{"the scope is invalid", john, third, []string{"scope", "admin"}, "invalid_scope"},
		{"logged in, no consent needed", john, a, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := row.by.authorize(row.to, append(row.change, "prompt", "none")...)
			sent := got.location(t).Query()
			if sent.Get("error") != row.code || sent.Get("iss") != s.authURL || sent.Get("state") != "the state" {
				t.Errorf("redirected with %v, want the error %q", sent, row.code)
			}
			if sent.Has("code") != (row.code == "") || got.body != "" {
				t.Errorf("redirected with %v and the body %q", sent, got.body)
			}
		})
	}
}

// An app that requires a fresh login gets it, and one login is enough.
func TestAttackEndlessLogin(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	for name, change := range map[string][]string{
		"prompt":             {"prompt", "login"},
		"max_age":            {"max_age", "0"},
		"both":               {"prompt", "login", "max_age", "0"},
		"prompt and consent": {"prompt", "login consent"},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.visit(t, a)
			query := a.query(change...)
			v.get("/authorize?"+query).checkPage(t, http.StatusOK, "Log in")
			got := v.get(v.login(query).location(t).String())
			if strings.Contains(name, "consent") {
				got.checkPage(t, http.StatusOK, "Allow access?")
				got = v.get(v.post("/consent", append(formFields(got.body), "decision", "allow")...).location(t).String())
			}
			if code := got.location(t).Query().Get("code"); code == "" {
				t.Errorf("redirected to %s, want a code", got.header.Get("Location"))
			}
		})
	}
}

// Consent is for one API: scopes of the same name may mean more at another one. The page
// names the API (RFC 8707 section 3).
func TestAttackConsentAtAnotherAPI(t *testing.T) {
	t.Parallel()
	const bank = "https://bank.example"
	s := newSystem(t)
	s.admin(t, "", "migrate")
	s.admin(t, "", "api", "add", bank, "--name", "The Bank", "--scope", appScope,
		"--keys-file", s.keysFile, "--secret-to", s.keysFile+".bank")
	s.startAuthserver(t, "--demo")
	s.admin(t, "", "scope", "describe", "items:read", "See <your> items")
	a := s.register(t, "app", "https://app.example/callback", "--public")
	john := s.visit(t, a)
	allow := func(page response) string {
		t.Helper()
		return john.post("/consent", append(formFields(page.body), "decision", "allow")...).location(t).String()
	}
	page := john.authorize(a)
	page.checkPage(t, http.StatusOK, "Allow access?")
	if strings.Contains(page.body, "The Bank") || !strings.Contains(page.body, "See &lt;your&gt; items") ||
		!strings.Contains(page.body, "See your name and your username") {
		t.Errorf("the page for the default API:\n%s", page.body)
	}
	john.get(allow(page)).location(t)
	john.authorize(a).location(t) // consent is asked for once

	page = john.authorize(a, "resource", bank)
	page.checkPage(t, http.StatusOK, "Allow access?")
	if !strings.Contains(page.body, "<strong>The Bank</strong>") {
		t.Errorf("the page does not name the API:\n%s", page.body)
	}
	silent := john.authorize(a, "resource", bank, "prompt", "none").location(t)
	if code := silent.Query().Get("error"); code != "consent_required" {
		t.Errorf("prompt=none redirects to %s", silent)
	}
	john.get(allow(page)).location(t)
	john.authorize(a, "resource", bank).location(t)
	if got := s.admin(t, "", "consent", "list", "john.doe"); !strings.Contains(got, bank) {
		t.Errorf("consent list prints:\n%s", got)
	}
}
