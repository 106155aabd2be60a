package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// evil is a text that breaks out of a page that does not escape it.
const evil = `"><script>alert(1)</script><b title='`

// What people have chosen is text on every page.
func TestTextsAreEscaped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	page := b.get("/admin/user?name=grace")
	b.post("/admin/user?name=grace", "name", evil, "groups", "x<script>", "etag", page.field("etag"))
	for _, path := range []string{"/admin/users", "/admin/user?name=grace", "/admin/groups",
		"/admin/users?q=%22%3E%3Cscript%3E"} {
		got := b.get(path)
		if got.status != http.StatusOK || strings.Contains(strings.ToLower(got.body), "<script") {
			t.Errorf("%s: %d\n%s", path, got.status, got.body)
		}
	}
	if got := b.get("/admin/user?name=grace"); !got.has(evil) {
		t.Errorf("the name is not shown:\n%s", got.body)
	}
}

// A new user is added once: the form that is sent twice is told of the first one.
func TestNewUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	fields := []string{
		"username", "joan", "name", "Joan Clarke", "email", "joan@example.com", "verified", "yes", "groups", "staff, readers",
		"password", "SeveralWordsInARow",
	}
	b.post("/admin/users/new", fields...).went(t, "/admin/user?done=created&name=joan")
	u := s.user("joan")
	if u.Name != "Joan Clarke" || !u.EmailVerified || strings.Join(u.Groups, " ") != "readers staff" {
		t.Errorf("stored as %+v", u)
	}
	got := b.post("/admin/users/new", fields...)
	got.refused(t, http.StatusConflict, "exists")
	if !got.has("joan@example.com") || got.has("SeveralWordsInARow") {
		t.Errorf("what was typed is not kept, or the password is:\n%s", got.body)
	}
	b.post("/admin/users/new", "username", "kay", "password", "short").
		refused(t, http.StatusUnprocessableEntity, "password")
	b.post("/admin/users/new", "username", "kay").refused(t, http.StatusUnprocessableEntity, "mail")
}

// Who saves a page that is not the latest is told so, and does not undo the change of somebody else.
func TestLostUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	one, two := s.logIn("ada"), s.logIn("ada")
	first, second := one.get("/admin/user?name=grace"), two.get("/admin/user?name=grace")
	one.post("/admin/user?name=grace", "name", "Grace Hopper", "etag", first.field("etag")).
		went(t, "/admin/user?done=saved&name=grace")
	got := two.post("/admin/user?name=grace", "name", "Amazing Grace", "etag", second.field("etag"))
	got.refused(t, http.StatusPreconditionFailed, "changed after you opened this page")
	if s.user("grace").Name != "Grace Hopper" {
		t.Errorf("the name is %q", s.user("grace").Name)
	}
	if !got.has(`value="Amazing Grace"`) || !got.has("Grace Hopper") {
		t.Errorf("the page does not show both names:\n%s", got.body)
	}
	two.post("/admin/user?name=grace", "name", "Amazing Grace", "etag", got.field("etag")).
		went(t, "/admin/user?done=saved&name=grace")
}

// The last administrator stays.
func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	etag := b.get("/admin/user?name=ada").field("etag")
	b.post("/admin/user?name=ada", "name", "ada", "groups", "", "etag", etag).
		refused(t, http.StatusConflict, "last administrator")
	b.post("/admin/user/disable?name=ada").refused(t, http.StatusConflict, "last administrator")
	b.post("/admin/user/delete?name=ada").refused(t, http.StatusConflict, "last administrator")
	if u := s.user("ada"); !u.Administers() {
		t.Errorf("stored as %+v", u)
	}
}

// What destroys asks first on a page that says what it ends, and a GET changes nothing.
func TestDeleteAsksFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.logIn("grace")
	b := s.logIn("ada")
	got := b.get("/admin/user/delete?name=grace")
	ends := "0 logins at apps and 1 browser session"
	if got.heading() != "Delete grace?" || !got.has(ends) || !got.has("cannot be undone") {
		t.Errorf("%q:\n%s", got.heading(), got.body)
	}
	s.user("grace")
	b.post("/admin/user/delete?name=grace").went(t, "/admin/users?done=deleted")
	if _, err := s.data.UserByUsername(t.Context(), "grace"); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("grace is still there: %v", err)
	}
	if got := b.post("/admin/user/delete?name=grace"); got.status != http.StatusNotFound {
		t.Errorf("the second time: %d", got.status)
	}
}

// The buttons of a user's page do what they say, and the page says what was done.
func TestUserButtons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	user := s.logIn("grace")
	session := strings.Split(strings.Split(b.get("/admin/user?name=grace").body, "/admin/user/session?id=")[1], "&")[0]
	for _, step := range []struct{ path, done, text string }{
		{"/session?id=" + session + "&name=grace", "session", "session has ended"},
		{"/disable?name=grace", "disabled", "is disabled"},
		{"/enable?name=grace", "enabled", "can log in again"},
		{"/unlock?name=grace", "unlocked", "were cleared"},
		{"/logout?name=grace", "loggedout", "logged out everywhere"},
	} {
		if got := b.get("/admin/user" + step.path); got.status != http.StatusOK {
			t.Errorf("%s: %d", step.path, got.status)
		}
		next := "/admin/user?done=" + step.done + "&name=grace"
		b.post("/admin/user"+step.path).went(t, next)
		if got := b.get(next); !got.has(step.text) {
			t.Errorf("%s does not say %q:\n%s", next, step.text, got.body)
		}
		if step.done == "session" && user.get("/account").heading() != "Log in" {
			t.Error("the session has not ended")
		}
	}
	b.post("/admin/user/session?id=unknown&name=grace").refused(t, http.StatusNotFound, "no longer exists")
	b.post("/admin/user/grant?number=no-number&name=grace").refused(t, http.StatusNotFound, "no longer exists")
	b.post("/admin/user/consent?client=unknown&name=grace").refused(t, http.StatusNotFound, "no longer exists")
	b.post("/admin/user/password?name=grace", "password", "short").refused(t, http.StatusUnprocessableEntity, "password")
	b.post("/admin/user/password?name=grace", "password", "SeveralWordsInARow").
		went(t, "/admin/user?done=password&name=grace")
	b.post("/admin/user/password?name=grace").refused(t, http.StatusUnprocessableEntity, "mail")
}

// A form that is too long says so, and changes nothing.
func TestLongForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.logIn("ada").post("/admin/user?name=grace", "name", strings.Repeat("x", 64<<10))
	if got.status != http.StatusRequestEntityTooLarge || got.heading() != "This form is too long" {
		t.Errorf("%d %q", got.status, got.heading())
	}
	if s.user("grace").Name != "grace" {
		t.Error("the user has changed")
	}
}

// The page of a user is found however the username is spelled.
func TestSpellingOfUsername(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addUser("zoë")
	b := s.logIn("ada")
	for _, name := range []string{"zoë", "zoe\u0308", "ｚｏë", " zoë "} {
		got := b.get("/admin/user?name=" + url.QueryEscape(name))
		if got.status != http.StatusOK || got.heading() != "zoë" {
			t.Errorf("%+q: %d %q", name, got.status, got.heading())
		}
	}
}

// Users are found by the beginning of what is known of them, page by page.
func TestListUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 60 {
		s.addUser("user" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
	}
	b := s.logIn("ada")
	first := b.get("/admin/users?q=user")
	if !first.has("useraa") || first.has(">grace<") || !first.has("Next page") || first.has("First page") {
		t.Errorf("the first page:\n%s", first.body)
	}
	next := strings.Split(strings.Split(first.body, `href="/admin/users?after=`)[1], `"`)[0]
	second := b.get("/admin/users?after=" + strings.ReplaceAll(next, "&amp;", "&"))
	if !second.has("usercf") && !second.has("userch") || second.has("Next page") || !second.has("First page") {
		t.Errorf("the second page:\n%s", second.body)
	}
	if got := b.get("/admin/users?q=zz"); !got.has("No username, name or email begins with “zz”") {
		t.Errorf("nobody:\n%s", got.body)
	}
}

// Somebody is invited, and the invitation is withdrawn.
func TestInvitations(t *testing.T) {
	t.Parallel()
	off := newSite(t, func(c *server.Settings) { c.Mail.MailInbox = "on" })
	off.logIn("ada").post("/admin/invitations", "email", "joan@example.com").
		refused(t, http.StatusUnprocessableEntity, "--signup=invitation")
	s := newSite(t, func(c *server.Settings) { c.Mail.MailInbox, c.SignUp.Signup = "on", "invitation" })
	b := s.logIn("ada")
	b.post("/admin/invitations", "email", "no address").refused(t, http.StatusUnprocessableEntity, "email")
	b.post("/admin/invitations", "email", "joan@example.com", "name", evil, "groups", "staff").
		went(t, "/admin/invitations?done=invited")
	got := b.get("/admin/invitations")
	if !got.has("joan@example.com") || strings.Contains(got.body, "<script") {
		t.Errorf("the list:\n%s", got.body)
	}
	if got := b.get("/admin/invitations/withdraw?email=joan%40example.com"); !got.has("joan@example.com") {
		t.Errorf("%s", got.body)
	}
	b.post("/admin/invitations/withdraw?email=joan%40example.com").went(t, "/admin/invitations?done=withdrawn")
	b.post("/admin/invitations/withdraw?email=joan%40example.com").refused(t, http.StatusNotFound, "not")
}

// A link on another site cannot make a page say that something was done.
func TestDoneFromOtherSite(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.logIn("ada")
	r := b.request("/admin/users?done=deleted", nil)
	r.Method, r.Body = http.MethodGet, nil
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := b.send(r); got.has("Deleted.") {
		t.Errorf("the page says so:\n%s", got.body)
	}
}
