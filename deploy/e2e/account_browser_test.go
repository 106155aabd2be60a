package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// logInElsewhere logs a user in on the account page with another browser, and returns a function that opens the page
// there.
func (s *system) logInElsewhere(t *testing.T, username, password, agent string) (open func() string) {
	t.Helper()
	p := newPerson(t, username, password)
	request := func(method, path string, form url.Values) string {
		t.Helper()
		r := p.request(method, s.authURL+path, form)
		r.Header.Set("User-Agent", agent)
		_, body := p.send(r)
		return body
	}
	request(http.MethodPost, "/account/login", url.Values{
		"username": {username}, "password": {password}, "continue": {"/account"},
	})
	return func() string { return request(http.MethodGet, "/account", nil) }
}

// refusedSoon waits until the API refuses a token as revoked.
func (s *system) refusedSoon(t *testing.T, accessToken string) {
	t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		got := send(t, s.apiURL, get("/users/me", "Bearer "+accessToken))
		if got.isInvalidToken() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API still accepts the token: %d %s", got.status, got.body)
		}
	}
}

// A user looks after the account in a real browser. The pages are readable and usable on phones and on a desktop, in
// light and in dark. `go test -run TestAccountPagesInBrowser -artifacts` keeps the screenshots.
func TestAccountPagesInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	if axe() == "" {
		leftOut(t, "the check of accessibility by axe-core, which needs its npm package")
	}
	const phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"
	s := startDemo(t)
	s.admin(t, "SeveralWordsInARow\n", "user", "add", "ada", "--name", "Ada Lovelace")
	s.admin(t, "", "user", "set", "ada", "--email", "ada@example.com", "--email-verified")
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--name", "Photo Album")
	long := s.register(t, "long", site.URL+"/callback", "--public", "--first-party",
		"--name", "Rechtsschutzversicherungsgesellschaftenverwaltung International (Deutschland) GmbH")
	elsewhere := s.logInElsewhere(t, "ada", "SeveralWordsInARow", phone)
	token := s.login(t, "ada", "SeveralWordsInARow")
	s.callMe(t, token, "Ada Lovelace")

	g := newGuest(t, s, site)
	open := func(path string) { t.Helper(); g.visit(g.base + path) }
	click := func(selector chromedp.CSS) { t.Helper(); g.do("pressing "+string(selector), chromedp.Click(selector)) }
	says := func(text string) {
		t.Helper()
		g.do("waiting for "+text, chromedp.WaitVisible(chromedp.Search(`//*[@role="status"][contains(., "`+text+`")]`)))
	}

	open("/account")
	g.sees("Log in")
	g.inspect("account-login")
	g.login("ada", "SeveralWordsInARow")
	g.sees("Your account")
	g.open(album)
	g.sees("Allow access?")
	g.presses("Allow")
	code := g.cameBack("")
	granted := send(t, s.authURL, album.redemption(code.Get("code"))).tokens(t)
	s.callMe(t, granted.access, "Ada Lovelace")
	g.open(long)
	g.sees("Allow access?")
	g.presses("Allow")
	send(t, s.authURL, long.redemption(g.cameBack("").Get("code"))).tokens(t)
	open("/account")
	g.sees("Your account")
	for _, text := range []string{"Ada Lovelace", "ada@example.com", "Chrome on Linux", "THIS BROWSER", "Safari on iPhone",
		"Photo Album", "Demo", "127.0.0.1"} {
		if !strings.Contains(strings.ToUpper(g.eval(`document.body.innerText`)), strings.ToUpper(text)) {
			t.Errorf("the page does not say %s", text)
		}
	}
	g.inspect("account")

	click(`a[href="/account/name"]`)
	g.sees("Change your name")
	g.inspect("account-name")
	g.types(kb.End + strings.Repeat("é", 64) + kb.Enter)
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.inspect("account-name-bad")
	g.types(kb.End + strings.Repeat(kb.Backspace, 80) + "Ada King" + kb.Enter)
	says("Your name was changed.")

	click(`button[name="client"][value="album"]`)
	says("The app no longer has access.")
	s.refusedSoon(t, granted.access)

	click(`button[name="session"]`)
	says("That browser or app is logged out.")
	if page := elsewhere(); !strings.Contains(page, `action="/account/login"`) {
		t.Errorf("the other browser shows %s", page)
	}
	click(`button[name="others"]`)
	says("You are logged out everywhere else.")
	s.refusedSoon(t, token)
	g.inspect("account-alone")

	click(`a[href="/account/password"]`)
	g.sees("Change your password")
	g.inspect("account-password")
	g.types("wrong" + kb.Tab + "AnotherLongSecret" + kb.Enter)
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.sees("Change your password")
	g.inspect("account-password-wrong")
	g.check("the fields that are wrong", `[...document.querySelectorAll("[aria-invalid]")].map(e => e.id)`, "password")
	g.types("SeveralWordsInARow" + kb.Tab + "AnotherLongSecret" + kb.Enter)
	says("Your password was changed.")

	g.presses("Download a copy of your data")
	g.sees("A copy of your data")
	g.inspect("account-data")
	g.presses("Back to your account")
	g.sees("Your account")
	g.presses("Delete your account")
	g.sees("Delete your account")
	g.inspect("account-delete")
	g.do("filling in",
		chromedp.SendKeys(chromedp.CSS("#username"), "ada"),
		chromedp.SendKeys(chromedp.CSS("#password"), "AnotherLongSecret"))
	last := s.login(t, "ada", "AnotherLongSecret")
	s.callMe(t, last, "Ada King")
	g.presses("Delete my account")
	g.sees("Your account was deleted")
	s.refusedSoon(t, last)
	g.inspect("account-deleted")
	open("/account")
	g.login("ada", "AnotherLongSecret")
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
}
