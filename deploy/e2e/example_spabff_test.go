package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// buildExample builds a program of deploy/examples and returns its path.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./deploy/examples/"+name)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// roundRobin sends each request to the next server, as a load balancer does. It counts the responses.
type roundRobin struct {
	*httptest.Server
	mu        sync.Mutex
	servers   []*httputil.ReverseProxy
	next      int
	responses map[string]int // by method, path and status
}

func startRoundRobin(t *testing.T) *roundRobin {
	t.Helper()
	b := &roundRobin{responses: map[string]int{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		server := b.servers[b.next%len(b.servers)]
		b.next++
		b.mu.Unlock()
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *roundRobin) add(t *testing.T, address string) {
	t.Helper()
	u, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	proxy.ModifyResponse = func(resp *http.Response) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.responses[fmt.Sprint(resp.Request.Method, " ", resp.Request.URL.Path, " ", resp.StatusCode)]++
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers = append(b.servers, proxy)
}

// count returns how many responses there were.
func (b *roundRobin) count(response string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.responses[response]
}

// startSPABFF starts replicas of deploy/examples/spa-bff behind a load balancer, as a client of its own.
func (s *system) startSPABFF(t *testing.T, program, id string, replicas int, flags ...string) *roundRobin {
	t.Helper()
	balancer := startRoundRobin(t)
	a := s.register(t, id, balancer.URL+"/bff/callback", "--first-party", "--name", "Items",
		"--post-logout-redirect-uri", balancer.URL+"/", "--backchannel-logout-uri", balancer.URL+"/bff/backchannel-logout")
	for _, address := range freeAddresses(t, replicas) {
		args := append([]string{
			"-listen", address, "-url", balancer.URL, "-issuer", s.authURL, "-client", id, "-api", s.apiURL,
			"-keys", s.apiKeysFile(),
		}, flags...)
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = cleanEnv("CLIENT_SECRET="+a.secret, "COOKIE_SECRETS="+strings.Repeat("secret-", 5))
		p := launch(t, id, cmd)
		waitFor(t, id, func() bool {
			resp, err := http.Get("http://" + address)
			if err == nil {
				resp.Body.Close()
			}
			return err == nil
		}, p)
		balancer.add(t, address)
	}
	return balancer
}

// waitText waits until an element shows a text.
func (g *guest) waitText(selector, want string) {
	g.t.Helper()
	script := fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector)
	waitFor(g.t, selector+" to show "+want, func() bool {
		shown, err := chromedp.Run(g.ctx, chromedp.Evaluate[string](script))
		return err == nil && strings.Contains(shown, want)
	})
}

// tab opens another tab of the browser.
func (g *guest) tab(t *testing.T) *guest {
	t.Helper()
	ctx, cancel := chromedp.NewContext(g.ctx)
	t.Cleanup(cancel)
	other := &guest{page: &page{t: t, ctx: ctx}, base: g.base, site: g.site}
	t.Cleanup(other.keepPicture)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	other.watch(t)
	return other
}

// sessionCookies returns the cookies that the browser has for an address.
func (g *guest) sessionCookies(address string) (cookies []*http.Cookie) {
	g.t.Helper()
	g.do("reading cookies", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		found, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{address}})
		if err != nil {
			return err
		}
		for _, c := range found.Cookies {
			if strings.HasSuffix(c.Name, "_browser") { // of the authorization server, which outlives sessions
				continue
			}
			cookies = append(cookies, &http.Cookie{Name: c.Name, Value: c.Value})
			strict := c.SameSite == network.CookieSameSiteStrict
			if strings.HasPrefix(c.Name, "__Host-bff") && !(c.HTTPOnly && c.Secure && strict) {
				g.t.Errorf("cookie %+v", c)
			}
		}
		return nil
	}))
	return cookies
}

// getWith sends a request of the page with cookies.
func getWith(t *testing.T, address string, cookies []*http.Cookie) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-CSRF", "1")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// waitEnded waits until both replicas say that the session of the cookies has ended. They refuse calls then.
func (b *roundRobin) waitEnded(t *testing.T, cookies []*http.Cookie) {
	t.Helper()
	waitFor(t, "the session to end", func() bool {
		_, one := getWith(t, b.URL+"/bff/session", cookies)
		_, two := getWith(t, b.URL+"/bff/session", cookies)
		return strings.Contains(one, `"user":null`) && strings.Contains(two, `"user":null`)
	})
	status, body := getWith(t, b.URL+"/api/users/me", cookies)
	if status != http.StatusUnauthorized || !strings.Contains(body, "Not logged in") {
		t.Errorf("a call with the cookies of an ended session: %d %s", status, body)
	}
}

const (
	loggedOutText = "You are not logged in."
	loggedInText  = "Logged in as John Doe."
)

// open opens a page and waits until it shows whether the user is logged in.
func (g *guest) openPage(address, status string) {
	g.t.Helper()
	g.visit(address)
	g.waitText("#status", status)
}

// A page without tokens: its user logs in, calls the API, and logs out, here and elsewhere. Two replicas serve it.
// `go test -run TestSPABFFInBrowser -artifacts` keeps the screenshots.
func TestSPABFFInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	site := startWebsite(t)
	g := newGuest(t, s, site)
	program := buildExample(t, "spa-bff")
	app := s.startSPABFF(t, program, "spa-bff", 2)

	t.Log("log in with the keyboard, call the API")
	g.openPage(app.URL+"/?a=b", loggedOutText)
	g.inspect("spa-bff-logged-out")
	g.types(kb.Tab)
	g.check("the focus", `document.activeElement.id`, "login")
	g.types(kb.Enter)
	g.login("john.doe", demoPassword)
	g.waitText("#status", loggedInText)
	g.check("the address", `location.pathname + location.search`, "/?a=b")
	g.types(kb.Tab + kb.Tab + kb.Enter)
	g.waitText("#what", "GET /items/42")
	g.check("the item", `document.querySelector("#values").innerText.replace(/\s+/g, " ")`, "item_id 42 owner john.doe")
	g.presses("Show my profile")
	g.waitText("#what", "GET /users/me")
	g.waitText("#values", "John Doe")
	g.inspect("spa-bff-logged-in")
	cookies := g.sessionCookies(app.URL)
	if visible := g.eval(`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + ` +
		`document.documentElement.outerHTML`); strings.Contains(visible, "eyJ") || strings.Contains(visible, "bff") {
		t.Errorf("the page can see %s", visible)
	}
	if status, body := getWith(t, app.URL+"/api/users/me", cookies); status != http.StatusOK {
		t.Errorf("a copy of the cookies gets %d %s, want 200", status, body)
	}

	t.Log("a link back that was used already shows a page")
	g.visit(app.URL + "/bff/callback?state=used")
	g.sees("Please log in again")
	g.inspect("spa-bff-broken")

	t.Log("another origin of the same site can neither read nor write, although the browser sends the cookie")
	g.visit(site.URL + "/callback")
	for _, script := range []string{
		`fetch("%s/api/items/42", {credentials: "include", mode: "no-cors"})`,
		`fetch("%s/bff/logout", {credentials: "include", mode: "no-cors", method: "POST"})`,
		`fetch("%s/api/items/42", {credentials: "include", headers: {"X-CSRF": "1"}}).catch(() => {})`,
	} {
		g.eval(fmt.Sprintf(script, app.URL))
	}
	for _, refused := range []string{"GET /api/items/42 403", "POST /bff/logout 403", "OPTIONS /api/items/42 403"} {
		waitFor(t, refused, func() bool { return app.count(refused) > 0 })
	}

	t.Log("a logout elsewhere is seen by both replicas")
	g.openPage(app.URL, loggedInText)
	s.admin(t, "", "user", "logout", "john.doe")
	app.waitEnded(t, cookies)
	g.presses("Show item 42")
	g.waitText("#status", loggedOutText)

	t.Log("log out here: the other tab sees it, the cookies cannot be replayed, and the password is asked for again")
	g.presses("Log in")
	g.login("john.doe", demoPassword)
	g.waitText("#status", loggedInText)
	cookies = g.sessionCookies(app.URL)
	other := g.tab(t)
	other.openPage(app.URL, loggedInText)
	g.presses("Log out")
	g.waitText("#status", loggedOutText)
	other.waitText("#status", loggedOutText)
	g.check("the address after the logout", `location.href`, app.URL+"/")
	if left := g.sessionCookies(app.URL); len(left) != 0 {
		t.Errorf("cookies after the logout: %v", left)
	}
	app.waitEnded(t, cookies)
	g.presses("Log in")
	g.sees("Log in")
}

// Two tabs and two replicas refresh at the same time, and nobody is logged out: access tokens are refreshed with
// every request here. The authorization server tells the example of a logout by the back channel.
func TestSPABFFRefresh(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--access-token-lifetime", "1m")
	s.startResourceserver(t)
	g := newGuest(t, s, nil)
	program := buildExample(t, "spa-bff")
	app := s.startSPABFF(t, program, "refreshing", 2, "-refresh-before", "1m")
	single := s.startSPABFF(t, program, "single", 1, "-backchannel")
	s.restart(t, "--demo", "--access-token-lifetime", "1m",
		"--insecure-fetch-from", strings.TrimPrefix(single.URL, "http://"))

	g.openPage(app.URL, loggedOutText)
	g.presses("Log in")
	g.login("john.doe", demoPassword)
	g.waitText("#status", loggedInText)
	tabs := []*guest{g, g.tab(t)}
	tabs[1].openPage(app.URL, loggedInText)
	before := app.count("GET /api/items/42 200")
	const calls = 5
	for range calls {
		for _, tab := range tabs {
			tab.eval(`document.querySelector("#item").click()`)
		}
		for _, tab := range tabs {
			waitFor(t, "the end of the call", func() bool {
				return tab.eval(`document.querySelector("#item").ariaDisabled`) == "null"
			})
			tab.waitText("#what", "GET /items/42")
		}
	}
	if n := app.count("GET /api/items/42 200") - before; n != calls*len(tabs) || app.count("GET /api/items/42 401") != 0 {
		t.Errorf("%d calls succeeded, want %d", n, calls*len(tabs))
	}
	if n := s.tokenRequests(); n < calls {
		t.Errorf("%d token requests: nothing was refreshed", n)
	}

	t.Log("the session ends by the back channel")
	g.openPage(single.URL, loggedOutText)
	g.presses("Log in")
	g.waitText("#status", loggedInText)
	s.admin(t, "", "user", "logout", "john.doe")
	waitFor(t, "the logout token to be accepted", func() bool {
		return single.count("POST /bff/backchannel-logout 200") > 0
	})
	g.presses("Show item 42")
	g.waitText("#status", loggedOutText)
}
