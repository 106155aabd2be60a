package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// Without its setting there is no console.
func TestConsoleIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Settings) { c.Admin.AdminConsole = false })
	for _, path := range []string{"/admin", "/admin/users", "/admin/console.css"} {
		if got := s.logIn("ada").get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// From other networks the console does not exist, not even for administrators.
func TestConsoleInItsNetworksOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Settings) { c.Admin.AdminNetworks = []string{"192.0.2.0/24"} })
	b := s.logIn("ada")
	for _, path := range []string{"/admin", "/admin/users", "/admin/console.css"} {
		if got := b.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := b.post("/admin/user/delete?name=grace"); got.status != http.StatusNotFound {
		t.Errorf("a form: %d", got.status)
	}
	s.user("grace")
}

// The gate lets through who may, and shows all others what they can do.
func TestGate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nobody := &browser{s: s}
	for _, tt := range []struct {
		name    string
		b       *browser
		status  int
		heading string
	}{
		{"nobody", nobody, http.StatusOK, "Log in"},
		{"a user", s.logIn("grace"), http.StatusForbidden, "You are not an administrator"},
		{"an administrator", s.logIn("ada"), http.StatusOK, "Overview"},
		{"one factor, and has none", s.logInBy("ada", grant.MethodPassword), http.StatusForbidden,
			"You need a second factor"},
	} {
		got := tt.b.get("/admin")
		if got.status != tt.status || got.heading() != tt.heading {
			t.Errorf("%s: %d %q", tt.name, got.status, got.heading())
		}
		if tt.name == "an administrator" {
			continue
		}
		if strings.Contains(got.body, `href="/admin/users"`) {
			t.Errorf("%s: the page has the menu", tt.name)
		}
		if got := tt.b.post("/admin/user/delete?name=grace"); got.status == http.StatusSeeOther {
			t.Errorf("%s: the form was accepted", tt.name)
		}
	}
	s.user("grace")
	got := s.logInBy("ada", grant.MethodPassword).get("/admin/users")
	if !got.has("authserver user set ada --enrol-link") {
		t.Errorf("no command for the link:\n%s", got.body)
	}
}

// A login that is too old is asked for again, and comes back to the page.
func TestOldLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addFactor("ada")
	b := s.logIn("ada")
	s.pass(adminapi.MaxLoginAge)
	if got := b.get("/admin/users?q=gr"); got.heading() != "Users" {
		t.Fatalf("%q after %v", got.heading(), adminapi.MaxLoginAge)
	}
	s.pass(time.Second)
	got := b.get("/admin/users?q=gr")
	if got.heading() != "Confirm that it is you" || got.field("continue") != "/admin/users?q=gr" {
		t.Errorf("%q, continues at %q", got.heading(), got.field("continue"))
	}
	got = b.post("/admin/user/delete?name=grace")
	if got.heading() != "Confirm that it is you" || got.field("continue") != "/admin/user/delete?name=grace" {
		t.Errorf("a form: %q, continues at %q", got.heading(), got.field("continue"))
	}
	s.user("grace")
}

// The login page comes back to the page of the console that was asked for, and to nowhere else.
func TestLoginComesBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		on         bool
		next, want string
	}{
		{true, "/admin/users?q=gr", "/admin/users?q=gr"}, {true, "/admin", "/admin"}, {true, "/administrators", "/account"},
		{true, "//evil.example/admin", "/account"}, {true, "https://evil.example/admin/", "/account"},
		{false, "/admin/users", "/account"},
	} {
		s := newSite(t, func(c *server.Settings) { c.Admin.AdminConsole = tt.on })
		s.setPassword("grace", "SeveralWordsInARow")
		nobody := &browser{s: s}
		got := nobody.post("/account/login", "username", "grace", "password", "SeveralWordsInARow", "continue", tt.next)
		if got.status != http.StatusSeeOther || got.location != tt.want {
			t.Errorf("%q leads to %d %q, want %q", tt.next, got.status, got.location, tt.want)
		}
		if got := nobody.post("/account/login", "username", "grace", "password", "wrong", "continue", tt.next); tt.on &&
			tt.next == tt.want && (got.field("continue") != tt.want || !got.has("to administer this server")) {
			t.Errorf("%q after a wrong password:\n%s", tt.next, got.body)
		}
	}
}

// The setting lets one factor be enough, and every page says so.
func TestWithoutSecondFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Settings) { c.Admin.AdminWithoutSecondFactor = true })
	b := s.logInBy("ada", grant.MethodPassword)
	for _, path := range []string{"/admin", "/admin/users", "/admin/user?name=grace", "/admin/user/delete?name=grace"} {
		got := b.get(path)
		if got.status != http.StatusOK || !got.has("--admin-without-second-factor") {
			t.Errorf("%s: %d\n%s", path, got.status, got.body)
		}
	}
	if got := s.logIn("grace").get("/admin"); got.status != http.StatusForbidden {
		t.Errorf("another user: %d", got.status)
	}
	s.pass(adminapi.MaxLoginAge + time.Second)
	if got := b.get("/admin"); got.heading() != "Confirm that it is you" {
		t.Errorf("an old login: %q", got.heading())
	}
}

// The group is read at each request.
func TestAdministratorNoLonger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addUser("joan", "admins")
	b := s.logIn("joan")
	if got := b.get("/admin"); got.status != http.StatusOK {
		t.Fatalf("%d", got.status)
	}
	page := s.logIn("ada").get("/admin/user?name=joan")
	s.logIn("ada").post("/admin/user?name=joan", "name", "joan", "groups", "", "etag", page.field("etag")).
		went(t, "/admin/user?done=saved&name=joan")
	if got := b.get("/admin"); got.status != http.StatusForbidden {
		t.Errorf("%d", got.status)
	}
}

// Forms are accepted from our own pages only, and from the user whom the page was made for.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	for name, change := range map[string]func(*http.Request){
		"another site": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"another host": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"another type": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		r := b.request("/admin/user/delete?name=grace", url.Values{"user": {b.user}})
		change(r)
		if got := b.send(r); got.status < 400 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	b.post("/admin/user/delete?name=grace", "user", s.user("grace").ID).went(t, "/admin/user/delete?name=grace")
	r := b.request("/admin/user/delete?name=grace", url.Values{"user": {b.user, b.user}})
	if got := b.send(r); got.status != http.StatusBadRequest {
		t.Errorf("a repeated field: %d", got.status)
	}
	s.user("grace")
}

// Every page has the policy of the other pages: no scripts, no frames, nothing of other origins.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.logIn("ada").get("/admin/users")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
			"frame-ancestors 'none'; form-action 'self'",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
}

// Methods and paths that do not exist are refused.
func TestUnknownPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	for path, want := range map[string]int{
		"/admin/nothing": http.StatusNotFound, "/admin/": http.StatusNotFound, "/administrators": http.StatusNotFound,
		"/admin/user": http.StatusNotFound, "/admin/user?name=nobody": http.StatusNotFound,
		"/admin/user/delete?name=nobody": http.StatusNotFound, "/admin/users?after=no-cursor": http.StatusBadRequest,
		"/admin/users?q=%ff": http.StatusBadRequest, "/admin/user?name=%00": http.StatusBadRequest,
		"/admin/audit?about=%ff": http.StatusBadRequest, "/admin/client?id=x;y=1": http.StatusBadRequest,
	} {
		if got := b.get(path); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := b.post("/admin/users"); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("a form of a page without one: %d %q", got.status, got.header.Get("Allow"))
	}
}
