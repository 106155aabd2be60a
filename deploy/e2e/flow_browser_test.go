package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// website is the site of an app. It records the queries of the callbacks.
type website struct {
	*httptest.Server
	next    string // the callback redirects here, if it is not empty
	mu      sync.Mutex
	visited []url.Values
}

func startWebsite(t *testing.T) *website {
	t.Helper()
	w := newWebsite()
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// newWebsite returns a website that is not started.
func newWebsite() *website {
	w := &website{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" {
			http.NotFound(rw, r)
			return
		}
		w.mu.Lock()
		w.visited = append(w.visited, r.URL.Query())
		w.mu.Unlock()
		if w.next != "" {
			http.Redirect(rw, r, w.next, http.StatusFound)
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, `<!doctype html><link rel="icon" href="data:,"><h1>The app</h1>`)
	}))
	return w
}

// last returns the query of the last callback, and the number of callbacks.
func (w *website) last() (url.Values, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.visited) == 0 {
		return url.Values{}, 0
	}
	return w.visited[len(w.visited)-1], len(w.visited)
}

// guest is a user at a browser.
type guest struct {
	*page
	base string // of the authorization server
	api  string // the address of the API
	site *website
}

// in returns the guest for a subtest, with a browser without cookies.
func (g *guest) in(t *testing.T) *guest {
	t.Helper()
	fresh := &guest{page: &page{t: t, ctx: g.ctx}, base: g.base, api: g.api, site: g.site}
	fresh.do("clearing cookies", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.ClearBrowserCookies, struct{}{})
		return err
	}))
	t.Cleanup(fresh.keepPicture)
	return fresh
}

// newGuest starts a browser. A violation of a page's content security policy fails the test.
func newGuest(t *testing.T, s *system, site *website) *guest {
	t.Helper()
	g := &guest{page: newPage(t), base: s.authURL, api: s.apiURL, site: site}
	g.watch(t)
	return g
}

// watch makes security messages of the browser fail the test, and gives the page the focus.
func (g *guest) watch(t *testing.T) {
	t.Helper()
	err := chromedp.Listen(g.ctx, func(event any) {
		if added, ok := event.(*log.EventEntryAdded); ok && added.Entry.Source == log.EntrySourceSecurity {
			t.Errorf("security message of the browser: %s", added.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	g.do("giving the page the focus", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		enabled := emulation.SetFocusEmulationEnabledParams{Enabled: true}
		_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, enabled)
		return err
	}))
}

// open opens the app's authorization request, with changes.
func (g *guest) open(a app, changes ...string) {
	g.t.Helper()
	g.visit(g.base + "/authorize?" + a.query(changes...))
}

// sees waits until the page with this heading is complete and its autofocus field has the
// focus.
func (g *guest) sees(heading string) {
	g.t.Helper()
	script := fmt.Sprintf(`document.readyState === "complete" && document.querySelector("h1")?.textContent === %q `+
		`&& (document.querySelector("[autofocus]") ?? document.activeElement) === document.activeElement`, heading)
	for deadline := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		shown, err := chromedp.Run(g.ctx, chromedp.Evaluate[bool](script))
		if err == nil && shown { // an error means that the browser is leaving the page
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("waiting for the page %q (%v), it shows %q", heading, err, g.eval(`document.body.innerText`))
		}
	}
}

// eval runs a script and returns its value as text.
func (g *guest) eval(script string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		g.t.Fatalf("%s: %v", script, err)
	}
	return text
}

// check checks the value of a script.
func (g *guest) check(what, script, want string) {
	g.t.Helper()
	if got := g.eval(script); got != want {
		g.t.Errorf("%s is %q, want %q", what, got, want)
	}
}

// types types into the field that has the focus, then presses Enter.
func (g *guest) types(keys string) {
	g.t.Helper()
	g.do("typing", chromedp.KeyEvent(keys))
}

// login fills the login page in with the keyboard alone.
func (g *guest) login(username, password string) {
	g.t.Helper()
	g.sees("Log in")
	g.types(username + kb.Tab + password + kb.Enter)
}

// presses presses a button, or follows a link.
func (g *guest) presses(button string) {
	g.t.Helper()
	element := chromedp.Search(`//*[self::button or self::a][normalize-space()="` + button + `"]`)
	g.do("pressing "+button, chromedp.Click(element))
}

// cameBack checks that the browser was redirected to the app, with a code if wantError is
// empty, else with this error. It returns the query.
func (g *guest) cameBack(wantError string) url.Values {
	g.t.Helper()
	g.sees("The app")
	got, _ := g.site.last()
	if got.Get("error") != wantError || got.Has("code") != (wantError == "") {
		g.t.Fatalf("the callback has %v, want the error %q", got, wantError)
	}
	if got.Get("state") != "the state" || got.Get("iss") != g.base {
		g.t.Errorf("the callback has the state %q and iss %q", got.Get("state"), got.Get("iss"))
	}
	return got
}

// Users log in, allow, deny, return, go back and log out, in a real browser.
func TestFlowInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	site := startWebsite(t)
	callback := site.URL + "/callback"
	own := s.register(t, "own", callback, "--first-party", "--name", "Own App")
	third := s.register(t, "third", callback, "--name", "Third App")
	deniable := s.register(t, "deniable", callback, "--name", "Deniable App")
	g := newGuest(t, s, site)
	redeem := func(t *testing.T, a app, brought url.Values) tokens {
		t.Helper()
		return send(t, s.authURL, a.redemption(brought.Get("code"))).tokens(t)
	}

	t.Run("login, without consent for a first-party app", func(t *testing.T) {
		g := g.in(t)
		g.open(own)
		g.sees("Log in")
		g.check("the field with the focus", `document.activeElement.id`, "username")
		g.login("john.doe", demoPassword)
		s.callMe(t, redeem(t, own, g.cameBack("")).access, "John Doe")
		t.Log("the second time there is no login page")
		_, before := site.last()
		g.open(own)
		g.cameBack("")
		if _, after := site.last(); after != before+1 {
			t.Errorf("the app was visited %d times more, want once", after-before)
		}
		t.Log("prompt=login asks again")
		g.open(own, "prompt", "login")
		g.login("john.doe", demoPassword)
		g.cameBack("")
		t.Log("prompt=consent asks even for a first-party app")
		g.open(own, "prompt", "consent")
		g.sees("Allow access?")
		g.presses("Allow")
		g.cameBack("")
	})
	t.Run("wrong password", func(t *testing.T) {
		g := g.in(t)
		g.open(own)
		g.login("john.doe", "wrong password")
		g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS(".error")))
		g.sees("Log in")
		g.check("the username", `document.querySelector("#username").value`, "john.doe")
		g.check("the password", `document.querySelector("#password").value`, "")
		g.check("the field with the focus", `document.activeElement.id`, "password")
		const description = `document.getElementById(document.activeElement.getAttribute("aria-describedby"))`
		g.check("what describes the field", description+`.textContent`,
			"Wrong username or password.")
		g.types(demoPassword + kb.Enter)
		g.cameBack("")
	})
	t.Run("login_hint fills the username in", func(t *testing.T) {
		g := g.in(t)
		g.open(own, "login_hint", "jane.smith")
		g.sees("Log in")
		g.check("the field with the focus", `document.activeElement.id`, "password")
		g.types("anothersecurepass" + kb.Enter)
		s.callMe(t, redeem(t, own, g.cameBack("")).access, "Jane Smith")
	})
	t.Run("prompt=none shows nothing", func(t *testing.T) {
		g := g.in(t)
		g.open(own, "prompt", "none")
		g.cameBack("login_required")
		g.open(own)
		g.login("john.doe", demoPassword)
		g.cameBack("")
		g.open(own, "prompt", "none")
		g.cameBack("")
		g.open(third, "prompt", "none")
		g.cameBack("consent_required")
	})
	t.Run("consent is asked for once", func(t *testing.T) {
		g := g.in(t)
		g.open(third, "scope", "profile")
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
		text := g.eval(`document.querySelector("main").innerText`)
		for _, part := range []string{"Third App", "John Doe", "See your name and your username"} {
			if !strings.Contains(text, part) {
				t.Errorf("the page does not say %q: %s", part, text)
			}
		}
		g.presses("Allow")
		redeem(t, third, g.cameBack(""))
		g.open(third, "scope", "profile")
		g.cameBack("")
		t.Log("it is asked for again for more scope")
		g.open(third)
		g.sees("Allow access?")
		g.types(kb.Tab + kb.Enter) // the first button
		g.cameBack("")
	})
	t.Run("deny", func(t *testing.T) {
		g := g.in(t)
		g.open(deniable)
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
		g.presses("Deny")
		g.cameBack("access_denied")
		g.open(deniable)
		g.sees("Allow access?") // not remembered
	})
	t.Run("log in as another user", func(t *testing.T) {
		g := g.in(t)
		g.open(deniable, "prompt", "consent")
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
		g.presses("Log in as someone else")
		g.sees("Log in")
		g.login("jane.smith", "anothersecurepass")
		g.sees("Allow access?")
		text := g.eval(`document.querySelector("main").innerText`)
		if !strings.Contains(text, "Jane Smith") || strings.Contains(text, "John Doe") {
			t.Errorf("the page does not ask Jane Smith: %s", text)
		}
		g.presses("Allow")
		s.callMe(t, redeem(t, deniable, g.cameBack("")).access, "Jane Smith")
	})
	t.Run("back button", func(t *testing.T) {
		g := g.in(t)
		g.open(deniable)
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
		g.eval(`document.querySelector("h1").textContent = "the old page"`)
		g.do("going back", chromedp.Evaluate[chromedp.Void](`history.back()`))
		g.sees("Allow access?") // not the login page before it: the user is logged in
		g.presses("Deny")
		g.cameBack("access_denied")
		g.do("going back", chromedp.Evaluate[chromedp.Void](`history.back()`))
		g.sees("Allow access?")
	})
	t.Run("a form submitted twice", func(t *testing.T) {
		g := g.in(t)
		g.open(own)
		g.sees("Log in")
		g.do("filling in",
			chromedp.SendKeys(chromedp.CSS("#username"), "john.doe"),
			chromedp.SendKeys(chromedp.CSS("#password"), demoPassword))
		g.do("double click", chromedp.DoubleClick(chromedp.CSS("button")))
		redeem(t, own, g.cameBack(""))
		g.open(own, "prompt", "consent")
		g.sees("Allow access?")
		g.do("double click", chromedp.DoubleClick(chromedp.CSS("button")))
		redeem(t, own, g.cameBack(""))
	})
	t.Run("a session that ends while the consent page is open", func(t *testing.T) {
		g := g.in(t)
		g.open(deniable)
		g.login("john.doe", demoPassword)
		g.sees("Allow access?")
		g.do("losing the cookie", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, network.ClearBrowserCookies, struct{}{})
			return err
		}))
		g.presses("Allow")
		g.login("john.doe", demoPassword)
		g.sees("Allow access?") // without a session, Allow had no effect
		g.presses("Deny")
		g.cameBack("access_denied")
	})
	t.Run("logout", func(t *testing.T) {
		g := g.in(t)
		logout := func(apps bool) tokens {
			g.open(own)
			g.login("john.doe", demoPassword)
			got := redeem(t, own, g.cameBack(""))
			g.visit(g.base + "/logout")
			g.sees("Log out?")
			if apps {
				g.do("asking for the apps", chromedp.Click(chromedp.CSS("input[type=checkbox]")))
			}
			g.presses("Log out")
			g.sees("Logged out")
			return got
		}
		kept := logout(false)
		send(t, s.authURL, own.refreshing(kept.refresh)).tokens(t)
		ended := logout(true)
		send(t, s.authURL, own.refreshing(ended.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
		g.open(own)
		g.sees("Log in")
	})
	t.Run("a page explains an invalid request", func(t *testing.T) {
		g := g.in(t)
		_, before := site.last()
		for name, open := range map[string]func(){
			"not registered":         func() { g.open(own, "client_id", "nobody") },
			"an address that is not": func() { g.open(own, "redirect_uri", site.URL+"/callback/evil") },
		} {
			open()
			g.sees("This link is broken")
			if text := g.eval(`document.querySelector("main").innerText`); !strings.Contains(text, name) {
				t.Errorf("the page says %q, want %q in it", text, name)
			}
		}
		if _, after := site.last(); after != before {
			t.Error("the browser was redirected to the app")
		}
	})
}

// Forms work over plain http on a host that is not loopback, where browsers send neither
// Sec-Fetch-Site nor a full Origin.
func TestFlowOnPlainNetwork(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	site := startWebsite(t)
	s.authURL = strings.Replace(s.authURL, "127.0.0.1", networkName, 1)
	s.startAuthserver(t) // the demo needs an issuer on this machine
	s.admin(t, demoPassword, "user", "add", "john.doe", "--bcrypt-cost", "10", "--password-min-length", "8")
	own := s.register(t, "own", site.URL+"/callback", "--public")
	g := newGuest(t, s, site)
	g.open(own)
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.cameBack("")
	g.visit(g.base + "/logout")
	g.presses("Log out")
	g.sees("Logged out")
}

// A native app may listen on IPv6 (RFC 8252 section 7.3), which a content security policy
// cannot name.
func TestFlowToAppOnIPv6(t *testing.T) {
	longTest(t)
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		leftOut(t, "an app that listens on IPv6")
	}
	site := newWebsite()
	site.Listener.Close()
	site.Listener = listener
	site.Start()
	t.Cleanup(site.Close)
	s := startDemo(t)
	native := s.register(t, "native", "http://[::1]/callback", "--public")
	native.redirectURI = site.URL + "/callback"
	g := newGuest(t, s, site)
	g.open(native)
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.cameBack("")
}

// The callback of an app may redirect to another host, to which browsers apply the form-action
// of our page, too.
func TestFlowToAppOfTwoHosts(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	home := startWebsite(t)
	site := newWebsite()
	site.next = home.URL + "/callback?code=x"
	site.Start()
	t.Cleanup(site.Close)
	a := s.register(t, "app", site.URL+"/callback", "--public")
	g := newGuest(t, s, site)
	g.open(a)
	g.login("john.doe", demoPassword)
	g.sees("Allow access?")
	g.presses("Allow")
	g.cameBack("")
	g.check("the host", `location.origin`, home.URL)
}
