package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startSPA starts deploy/examples/spa and both servers, which accept its origin. It returns the URL of the page.
func startSPA(t *testing.T) (s *system, page string) {
	t.Helper()
	library := filepath.Join("thirdparty", "node", "node_modules", "oauth4webapi", "build", "index.js")
	if _, err := os.Stat(library); err != nil {
		leftOut(t, "the single-page app, which needs the npm package oauth4webapi")
	}
	s = newSystem(t)
	address := freeAddresses(t, 1)[0]
	page = "http://" + address
	s.startAuthserver(t, "--demo", "--allowed-origins", page)
	s.startResourceserver(t, "--allowed-origins", page)
	s.register(t, "spa", page+"/callback", "--public", "--name", "Items", "--post-logout-redirect-uri", page+"/")
	cmd := exec.CommandContext(t.Context(), buildExample(t, "spa"),
		"-listen", address, "-issuer", s.authURL, "-api", s.apiURL, "-library", library)
	cmd.Env = cleanEnv()
	p := launch(t, "spa", cmd)
	waitFor(t, "the page", func() bool {
		resp, err := http.Get(page)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, p)
	return s, page
}

// tokenRequests returns how many token requests the server has logged.
func (s *system) tokenRequests() int {
	return strings.Count(s.authserver.output.String(), "path=/token ")
}

// evalAsync waits for the promise of a script and returns its value as JSON.
func (g *guest) evalAsync(script string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	script += `.then(value => JSON.stringify(value ?? null))`
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		g.t.Fatalf("%s: %v", script, err)
	}
	return text
}

// spaTokens are the tokens that the page has stored.
type spaTokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// storedTokens returns the tokens that the page has stored; they are empty if it has none.
func (g *guest) storedTokens() (stored spaTokens) {
	g.t.Helper()
	text := g.evalAsync(`import("/store.js").then(store => store.load())`)
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		g.t.Fatal(err)
	}
	return stored
}

// wantNoTokens checks that the page has stored no tokens.
func (g *guest) wantNoTokens() {
	g.t.Helper()
	if stored := g.storedTokens(); stored != (spaTokens{}) {
		g.t.Errorf("the page has the tokens %+v", stored)
	}
}

// expireTokens makes the page believe that its access token has expired.
func (g *guest) expireTokens() {
	g.t.Helper()
	g.evalAsync(`import("/store.js").then(async store => store.save({...await store.load(), expires: 0}))`)
}

// The example and the tests have the same library, to the byte.
func TestSPALibrary(t *testing.T) {
	t.Parallel()
	pinned := func(file string) string {
		var lock struct {
			Packages map[string]struct{ Integrity string }
		}
		if err := json.Unmarshal([]byte(readProject(t, file)), &lock); err != nil {
			t.Fatal(err)
		}
		return lock.Packages["node_modules/oauth4webapi"].Integrity
	}
	example := pinned("deploy/examples/spa/package-lock.json")
	if tested := pinned("deploy/e2e/thirdparty/node/package-lock.json"); example == "" || example != tested {
		t.Errorf("the example has %q, and the tests %q", example, tested)
	}
}

// A single-page app on an origin of its own: its user logs in, calls the API, refreshes in two tabs at once, and logs
// out, here and elsewhere. `go test -run TestSPAInBrowser -artifacts` keeps the screenshots.
func TestSPAInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s, page := startSPA(t)
	g := newGuest(t, s, nil)

	t.Log("log in with the keyboard, call the API")
	g.openPage(page+"/?a=b#c", loggedOutText)
	g.inspect("spa-logged-out")
	g.types(kb.Tab)
	g.check("the focus", `document.activeElement.id`, "login")
	g.types(kb.Enter)
	g.login("john.doe", demoPassword)
	g.sees("Allow access?") // any program of this machine could have the loopback redirect URI
	g.presses("Allow")
	g.waitText("#status", loggedInText)
	g.check("the address", `location.href`, page+"/?a=b#c")
	g.types(kb.Tab + kb.Tab + kb.Enter)
	g.waitText("#what", "GET /items/42")
	g.check("the item", `document.querySelector("#values").innerText.replace(/\s+/g, " ")`, "item_id 42 owner john.doe")
	g.presses("Show my profile")
	g.waitText("#what", "GET /users/me")
	g.waitText("#values", "John Doe")
	g.inspect("spa-logged-in")

	t.Log("two tabs refresh at once: one request is sent, and both call the API")
	tabs := []*guest{g, g.tab(t)}
	tabs[1].openPage(page, loggedInText)
	const rounds = 5
	logins := s.tokenRequests()
	for range rounds {
		first := g.storedTokens()
		g.expireTokens()
		g.eval(`(navigator.locks.request("tokens", () => new Promise(done => { window.release = done })), 0)`)
		waitFor(t, "the lock", func() bool { return g.eval("typeof release") == "function" })
		for _, tab := range tabs {
			tab.eval(`(document.querySelector("#what").textContent = "", document.querySelector("#item").click())`)
		}
		waitFor(t, "both tabs to wait for the lock", func() bool {
			return g.evalAsync(`navigator.locks.query().then(locks => locks.pending.length)`) == "2"
		})
		g.eval(`(release(), delete window.release)`)
		for _, tab := range tabs {
			tab.waitText("#what", "GET /items/42")
			tab.waitText("#status", loggedInText)
		}
		if g.storedTokens().RefreshToken == first.RefreshToken {
			t.Error("the refresh token was not replaced")
		}
	}

	t.Log("log out: the other tab sees it, the tokens are revoked, and the password is asked for again")
	tokens := g.storedTokens()
	g.presses("Log out")
	g.waitText("#status", loggedOutText)
	tabs[1].waitText("#status", loggedOutText)
	waitFor(t, "the revocation", func() bool {
		return strings.Contains(s.authserver.output.String(), "path=/revoke ")
	})
	if n := s.tokenRequests() - logins; n != rounds {
		t.Errorf("%d token requests, want %d", n, rounds)
	}
	g.check("the address after the logout", `location.href`, page+"/")
	g.wantNoTokens()
	refused := send(t, s.authURL,
		form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", tokens.RefreshToken))
	if refused.status != http.StatusBadRequest || !strings.Contains(refused.body, "invalid_grant") {
		t.Errorf("the refresh token gets %d %s", refused.status, refused.body)
	}
	waitFor(t, "the API to refuse the token", func() bool {
		return send(t, s.apiURL, get("/users/me", "Bearer "+tokens.AccessToken)).status == http.StatusUnauthorized
	})
	g.presses("Log in")
	g.login("john.doe", demoPassword)

	t.Log("denied, and links back that are of no login")
	g.sees("Allow access?")
	g.presses("Deny")
	g.waitText("#error", "You did not allow this app to log you in.")
	g.inspect("spa-denied")
	for _, query := range []string{"?code=x&state=y&iss=" + s.authURL, "?state=y", ""} {
		g.visit(page + "/callback" + query)
		g.waitText("#error", "This login was already used")
		g.check("the address", `location.href`, page+"/")
	}
	t.Log("another state, another issuer and no issuer")
	for _, query := range []string{"state=x&iss=" + s.authURL, "state=STATE&iss=https://evil.example", "state=STATE"} {
		g.openPage(page, loggedOutText)
		g.presses("Log in")
		g.sees("Allow access?")
		g.openPage(page, loggedOutText)
		state := g.eval(`JSON.parse(sessionStorage.getItem("login")).state`)
		callback := page + "/callback?code=x&" + strings.Replace(query, "STATE", state, 1)
		g.visit(callback)
		g.waitText("#error", "The login has failed.")
		g.wantNoTokens()
	}

	t.Log("a logout elsewhere is seen by the next call")
	g.openPage(page, loggedOutText)
	g.presses("Log in")
	g.sees("Allow access?")
	g.presses("Allow")
	g.waitText("#status", loggedInText)
	tokens = g.storedTokens()
	s.admin(t, "", "user", "logout", "john.doe")
	waitFor(t, "the API to refuse the token", func() bool {
		return send(t, s.apiURL, get("/users/me", "Bearer "+tokens.AccessToken)).status == http.StatusUnauthorized
	})
	g.presses("Show item 42")
	g.waitText("#status", loggedOutText)
}
