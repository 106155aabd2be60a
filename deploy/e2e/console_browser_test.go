package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// graceName is a name that would run as a script where a page forgets to escape it.
const graceName = `Grace <script>document.title="broken"</script>`

// firefox is the User-Agent of a browser.
const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

// administrator is somebody at a browser who administers the server.
type administrator struct {
	*guest
	key  string // of the authenticator app
	used timeSteps
}

// newAdministrator makes ada the first administrator, as the documentation says, and starts a browser in which she is
// logged in to the console.
func newAdministrator(t *testing.T, s *system) *administrator {
	t.Helper()
	s.admin(t, "SeveralWordsInARow\n", "user", "add", "ada", "--name", "Ada Lovelace")
	printed := s.admin(t, "", "user", "set", "ada", "--group", "admins", "--issuer", s.authURL)
	link := printed[strings.Index(printed, s.authURL):]
	a := &administrator{guest: newGuest(t, s, nil)}
	a.visit(a.base + "/admin")
	a.login("ada", "SeveralWordsInARow")
	a.sees("You need a second factor")
	a.inspect("console-needs-factor")
	a.visit(strings.TrimSpace(link))
	a.sees("Set up your second factor")
	a.types("SeveralWordsInARow" + kb.Enter)
	a.sees("Add an authenticator app")
	a.key = a.eval(`document.querySelector(".key").innerText`)
	a.do("typing", chromedp.SendKeys(chromedp.CSS("#code"), a.code()+kb.Tab+"Phone"+kb.Enter))
	a.sees("Save your recovery codes")
	a.presses("I have saved them: continue")
	a.sees("Overview")
	return a
}

// code returns a code of the app that was not used before.
func (a *administrator) code() string {
	a.t.Helper()
	return a.used.code(a.t, a.key)
}

// goes opens a page of the console.
func (a *administrator) goes(path, heading string) {
	a.t.Helper()
	a.visit(a.base + path)
	a.sees(heading)
}

// says waits until the page says that something has been done.
func (a *administrator) says(text string) {
	a.t.Helper()
	path := `//p[@role="status"][normalize-space()="` + text + `"]`
	a.do("waiting for "+text, chromedp.WaitVisible(chromedp.Search(path)))
}

// looks checks the page on a phone and on a desktop, in light and in dark, and keeps pictures of it.
func (a *administrator) looks(name string) {
	a.t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"phone", 360, 740, "light"}, {"desktop", 1280, 800, "light"}, {"desktop-dark", 1280, 800, "dark"}} {
		a.show(screen.width, screen.height, screen.scheme)
		if faults := a.eval(pageFaults); faults != "" {
			a.t.Errorf("%s on %s:\n%s", name, screen.name, faults)
		}
		a.isAccessible(name)
		a.picture(name + "-" + screen.name)
	}
}

// consolePages are the pages of the console that a link leads to, by their headings.
var consolePages = []struct{ name, path, heading string }{
	{"overview", "/admin", "Overview"},
	{"users", "/admin/users", "Users"},
	{"users-found", "/admin/users?q=gr", "Users"},
	{"user-new", "/admin/users/new", "New user"},
	{"user", "/admin/user?name=grace", "grace"},
	{"user-delete", "/admin/user/delete?name=grace", "Delete grace?"},
	{"user-password", "/admin/user/password?name=grace", "Reset the password of grace"},
	{"groups", "/admin/groups", "Groups"},
	{"invitations", "/admin/invitations", "Invitations"},
	{"invitation-withdraw", "/admin/invitations/withdraw?email=joan%40example.com", "Withdraw the invitation?"},
	{"clients", "/admin/clients", "Clients"},
	{"client-new", "/admin/clients/new", "Register a client"},
	{"client", "/admin/client?id=backend", "Reports <b>"},
	{"client-secret", "/admin/client/secret?id=backend", "Make a new secret?"},
	{"client-delete", "/admin/client/delete?id=backend", "Delete this client?"},
	{"apis", "/admin/apis", "APIs"},
	{"api", "/admin/api?audience=https%3A%2F%2Fphotos.example", "Photos"},
	{"api-delete", "/admin/api/delete?audience=https%3A%2F%2Fphotos.example", "Delete this API?"},
	{"scopes", "/admin/scopes?scope=profile", "Scopes"},
	{"scope-forget", "/admin/scopes/forget?scope=profile", "Forget this description?"},
	{"keys", "/admin/keys", "Keys"},
	{"key-rotate", "/admin/keys/rotate", "Rotate a key"},
	{"audit", "/admin/audit", "Audit log"},
	{"webhooks", "/admin/webhooks", "Webhooks"},
	{"audit-filtered", "/admin/audit?event=login*&outcome=failure", "Audit log"},
}

// An administrator opens every page of the console in a real browser, on a phone's width and on a desktop, and axe-core
// finds nothing. `go test -run TestConsoleInBrowser -artifacts` keeps the screenshots.
func TestConsoleInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	if axe() == "" {
		leftOut(t, "the check of accessibility by axe-core, which needs its npm package")
	}
	s := newSystem(t)
	s.startAuthserver(t, "--admin-console", "--demo", "--mail-inbox=on")
	s.fillConsole(t)
	s.admin(t, "", "user", "set", "grace", "--name", graceName)
	a := newAdministrator(t, s)
	for _, p := range consolePages {
		t.Run(p.name, func(t *testing.T) {
			here := &administrator{guest: &guest{page: &page{t: t, ctx: a.ctx}, base: a.base}}
			here.goes(p.path, p.heading)
			here.looks(p.name)
			here.check("the name of the page", `document.title === "broken"`, "false")
		})
	}
	t.Run("forms", func(t *testing.T) { a.usesForms(t) })
}

// fillConsole adds what the pages show.
func (s *system) fillConsole(t *testing.T) {
	t.Helper()
	s.admin(t, "SeveralWordsInARow\n", "user", "add", "grace", "--name", "Grace Hopper", "--group", "staff",
		"--email", "grace@example.com", "--email-verified")
	s.register(t, "album", "https://album.example/callback", "--public", "--first-party", "--name", "Photo Album")
	s.admin(t, "", "client", "add", "backend", "--name", "Reports <b>", "--grant", "client_credentials",
		"--scope", "items:read")
	s.admin(t, "", "api", "add", "https://photos.example", "--name", "Photos", "--scope", "photos:read photos:write")
	s.admin(t, "", "user", "invite", "joan@example.com", "--group", "staff")
	s.logInElsewhere(t, "john.doe", demoPassword, firefox)
	for range 4 {
		s.logInElsewhere(t, "grace", "SeveralWordsInARow", firefox)
	}
	for range 3 {
		got := send(t, s.authURL, form("username", "grace", "password", "wrong"))
		if got.status != http.StatusBadRequest {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
}

// usesForms adds a user, changes her, and deletes her, in a browser that runs no scripts of pages.
func (a *administrator) usesForms(t *testing.T) {
	t.Helper()
	a.do("turning scripts off", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	a.goes("/admin/users/new", "New user")
	a.do("typing", chromedp.SendKeys(chromedp.CSS("#f-username"), "joan"+kb.Tab+"Joan Clarke"))
	a.do("typing", chromedp.SendKeys(chromedp.CSS("#f-password"), "AnotherFewWords"+kb.Enter))
	a.sees("joan")
	a.says("Created.")
	a.do("typing", chromedp.SendKeys(chromedp.CSS("#f-groups"), "staff"+kb.Enter))
	a.says("The change was saved.")
	a.presses("Delete")
	a.sees("Delete joan?")
	a.presses("Delete the user")
	a.sees("Users")
	a.goes("/admin/user?"+url.Values{"name": {"joan"}}.Encode(), "Not found")
}
