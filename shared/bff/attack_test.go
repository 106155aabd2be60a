package bff_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bff"
)

const sessionCookie = "__Host-bff"

// Cookies that were cut, changed or swapped are no session, and do no harm.
func TestBadCookies(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	back := b.startLogin("/")
	loginCookie := ""
	for _, value := range b.cookies {
		loginCookie = value
	}
	b.send("GET", back, nil, "")
	good := b.cookies[sessionCookie]
	last := "A"
	if strings.HasSuffix(good, last) {
		last = "B"
	}
	for name, value := range map[string]string{
		"empty":                 "",
		"cut":                   good[:len(good)-10],
		"cut to its first byte": good[:1],
		"cut to its salt":       good[:44],
		"front cut":             good[1:],
		"longer":                good + "AAAA",
		"last bit":              good[:len(good)-1] + last,
		"bit of the salt":       good[:5] + last + last + good[7:],
		"other number of parts": "2" + good[1:],
		"no number of parts":    "9" + good[1:],
		"not base64":            "1" + strings.Repeat("!", 100),
		"too long":              "1" + strings.Repeat("A", 5000),
		"that of a login":       "1" + loginCookie,
	} {
		b.cookies[sessionCookie] = value
		b.want(name, b.page("GET", "/api/items/42"), http.StatusUnauthorized)
		if b.loggedIn() {
			t.Errorf("%s: logged in", name)
		}
		b.want(name+": logout", b.page("POST", "/bff/logout"), http.StatusOK)
	}
	b.cookies = map[string]string{sessionCookie: good}
	twice := b.fromPage()
	twice.Set("Cookie", sessionCookie+"="+good)
	b.want("sent twice", b.send("GET", "/api/items/42", twice, ""), http.StatusUnauthorized)
	if !b.loggedIn() {
		t.Error("the good cookie does not work")
	}
}

// A secret is replaced without ending sessions. Cookies of another secret, app or client are refused.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const next = "the next secret, which also has 32 bytes or more"
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	old := b.copy()
	for _, secrets := range [][]string{{secret, next}, {next, secret}} {
		a.replace(func(c *bff.Config) { c.Secrets = secrets })
		if !b.loggedIn() {
			t.Errorf("not logged in with %d secrets", len(secrets))
		}
	}
	a.auth.clock.pass(time.Hour)
	b.page("GET", "/bff/session") // refreshes, so that it is encrypted with the new one
	a.replace(func(c *bff.Config) { c.Secrets = []string{next} })
	if !b.loggedIn() || old.loggedIn() {
		t.Error("the new secret does not work, or the old one does")
	}
	for name, change := range map[string]func(*bff.Config){
		"other secret": func(c *bff.Config) { c.Secrets = []string{secret} },
		"other client": func(c *bff.Config) { c.ClientID = "other" },
		"other app":    func(c *bff.Config) { c.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1) },
	} {
		cfg := a.cfg
		change(&cfg)
		a.handler.Store(a.open(cfg))
		header := b.fromPage()
		header.Set("Origin", cfg.URL)
		resp := b.copy().send("GET", "/bff/session", header, "")
		if !strings.Contains(resp.body, `"user":null`) {
			t.Errorf("%s: %s %s", name, resp.Status, resp.body)
		}
	}
}

// Only the page's own requests reach the API and the logout.
func TestCSRF(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	for name, change := range map[string]func(http.Header){
		"without the header": func(h http.Header) { h.Del("X-Csrf") },
		"empty header":       func(h http.Header) { h.Set("X-Csrf", "") },
		"other value":        func(h http.Header) { h.Set("X-Csrf", "0") },
		"header twice":       func(h http.Header) { h.Add("X-Csrf", "1") },
		"cross-site":         func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":          func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"address bar":        func(h http.Header) { h.Set("Sec-Fetch-Site", "none") },
		"two sites":          func(h http.Header) { h.Add("Sec-Fetch-Site", "cross-site") },
		"other origin":       func(h http.Header) { h.Set("Origin", "https://evil.example") },
		"other port":         func(h http.Header) { h.Set("Origin", "http://127.0.0.1:1") },
		"null origin":        func(h http.Header) { h.Set("Origin", "null") },
		"origin as a prefix": func(h http.Header) { h.Set("Origin", a.URL+".evil.example") },
		"two origins":        func(h http.Header) { h.Add("Origin", "https://evil.example") },
	} {
		header := b.fromPage()
		change(header)
		for _, request := range [][2]string{
			{"GET", "/api/items/42"}, {"POST", "/api/items"}, {"OPTIONS", "/api/items"}, {"POST", "/bff/logout"}, {"GET", "/bff/session"},
		} {
			resp := b.send(request[0], request[1], header, "")
			b.want(name+": "+request[1], resp, http.StatusForbidden)
			if len(resp.Cookies()) != 0 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %v", name, resp.Header)
			}
		}
	}
	if a.called.Load() != 0 || !b.loggedIn() {
		t.Error("the API was called, or the user was logged out")
	}
	header := b.fromPage() // of a browser that does not say where a request comes from
	header.Del("Sec-Fetch-Site")
	header.Del("Origin")
	b.want("old browser", b.send("GET", "/api/items/42", header, ""), http.StatusOK)
	b.want("logout by GET", b.page("GET", "/bff/logout"), http.StatusMethodNotAllowed)
}

// A callback is accepted once, in the browser of its login, and from the issuer.
func TestBadCallbacks(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	edit := func(back string, change func(url.Values)) string {
		path, query, _ := strings.Cut(back, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		change(values)
		return path + "?" + values.Encode()
	}
	other := a.browser().startLogin("/")
	for name, tt := range map[string]struct {
		change func(url.Values)
		status int
	}{
		"no state":              {func(q url.Values) { q.Del("state") }, 400},
		"other state":           {func(q url.Values) { q.Set("state", strings.Repeat("x", 43)) }, 400},
		"state of the same tab": {func(q url.Values) { q.Set("state", q.Get("state")[:8]+strings.Repeat("x", 35)) }, 400},
		"short state":           {func(q url.Values) { q.Set("state", "x") }, 400},
		"state twice":           {func(q url.Values) { q.Add("state", "x") }, 400},
		"no iss":                {func(q url.Values) { q.Del("iss") }, 400},
		"other iss":             {func(q url.Values) { q.Set("iss", "https://evil.example") }, 400},
		"iss twice":             {func(q url.Values) { q.Add("iss", "https://evil.example") }, 400},
		"no code":               {func(q url.Values) { q.Del("code") }, 400},
		"unknown code":          {func(q url.Values) { q.Set("code", "x") }, 400},
		"denied":                {func(q url.Values) { q.Set("error", "access_denied") }, 403},
		"other error":           {func(q url.Values) { q.Set("error", "<script>") }, 400},
		"code of another login": {func(q url.Values) { q.Set("code", strings.Split(strings.Split(other, "code=")[1], "&")[0]) }, 400},
	} {
		b := a.browser()
		resp := b.send("GET", edit(b.startLogin("/"), tt.change), nil, "")
		b.want(name, resp, tt.status)
		if b.cookies[sessionCookie] != "" || strings.Contains(resp.body, "<script>") {
			t.Errorf("%s: logged in, or a script: %s", name, resp.body)
		}
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v", name, resp.Header)
		}
	}
	b := a.browser()
	back := b.startLogin("/")
	victim := a.browser()
	victim.want("callback in another browser", victim.send("GET", back, nil, ""), http.StatusBadRequest)
	replayed := b.copy()
	b.want("callback", b.send("GET", back, nil, ""), http.StatusFound)
	b.want("callback again", b.send("GET", back, nil, ""), http.StatusBadRequest)
	replayed.want("callback again with its cookie", replayed.send("GET", back, nil, ""), http.StatusBadRequest)
	if !b.loggedIn() {
		t.Error("the second callback has logged the user out")
	}
	b = a.browser()
	back = b.startLogin("/")
	a.auth.clock.pass(time.Hour)
	b.want("callback after an hour", b.send("GET", back, nil, ""), http.StatusBadRequest)
}

// An ID token must be for this login and client.
func TestBadIDTokens(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(map[string]any){
		"nonce of another login": func(c map[string]any) { c["nonce"] = "x" },
		"without nonce":          func(c map[string]any) { delete(c, "nonce") },
		"other client":           func(c map[string]any) { c["aud"] = "other" },
		"other issuer":           func(c map[string]any) { c["iss"] = "https://evil.example" },
		"expired":                func(c map[string]any) { c["exp"] = 1 },
		"other access token":     func(c map[string]any) { c["at_hash"] = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, nil)
			a.auth.idToken = func(c map[string]any) map[string]any { change(c); return c }
			b := a.browser()
			b.want("callback", b.send("GET", b.startLogin("/"), nil, ""), http.StatusInternalServerError)
			if b.cookies[sessionCookie] != "" {
				t.Error("logged in")
			}
		})
	}
}

// After a login the browser goes to a page of the app only.
func TestReturnTo(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	for _, bad := range []string{
		"https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example",
		"/\n/evil.example", "evil.example", "javascript:alert(1)", "/\u00e9", "/\u2028/evil.example", "/..//evil.example", "/%2e%2e/x", "/a b", "/%5cevil.example",
		"/bff/login", "/bff/logout", "/api/items/42", "/%zz", "/" + strings.Repeat("x", 600), "?x", "@evil.example",
	} {
		resp := a.browser().send("GET", "/bff/login?return_to="+url.QueryEscape(bad), nil, "")
		if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" || len(resp.Cookies()) != 0 {
			t.Errorf("%q: %s %s", bad, resp.Status, resp.Header.Get("Location"))
		}
	}
	resp := a.browser().send("GET", "/bff/login?return_to=/&return_to=/x", nil, "")
	a.browser().want("two", resp, http.StatusBadRequest)
	for good, want := range map[string]string{
		"": "/", "/": "/", "/a/b?next=//x#y": "/a/b?next=//x#y", "/#//a/../b/": "/#//a/../b/",
	} {
		b := a.browser()
		resp := b.send("GET", b.startLogin(good), nil, "")
		if resp.Header.Get("Location") != want {
			t.Errorf("%q leads to %q", good, resp.Header.Get("Location"))
		}
	}
}

// Two tabs may log in at the same time. Logins that were never completed do not fill the header up.
func TestManyLogins(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	one, two := b.startLogin("/one"), b.startLogin("/two")
	for want, back := range map[string]string{"/one": one, "/two": two} {
		if got := b.send("GET", back, nil, "").Header.Get("Location"); got != want {
			t.Errorf("the browser is sent to %q, want %q", got, want)
		}
	}
	for range 30 {
		b.startLogin("/" + strings.Repeat("x", 500))
	}
	size := 0
	for name, value := range b.cookies {
		size += len(name) + len(value) + 3
	}
	if size > 8000 {
		t.Errorf("the cookies have %d bytes: %d", size, len(b.cookies))
	}
}

// A session that does not fit into one cookie is split, and one that does not fit at all is refused.
func TestLargeSession(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	groups := func(size int) {
		a.auth.idToken = func(c map[string]any) map[string]any { c["groups"] = []string{strings.Repeat("g", size)}; return c }
	}
	groups(4000)
	b := a.browser()
	b.login()
	if len(b.cookies) < 2 || !b.loggedIn() {
		t.Errorf("%d cookies", len(b.cookies))
	}
	whole := b.copy()
	delete(b.cookies, sessionCookie+"-1")
	if b.loggedIn() {
		t.Error("logged in with a part of the cookies")
	}
	groups(1)
	whole.login()
	if len(whole.cookies) != 1 || !whole.loggedIn() {
		t.Errorf("%d cookies, want 1", len(whole.cookies))
	}
	groups(20000)
	b = a.browser()
	b.want("too large", b.send("GET", b.startLogin("/"), nil, ""), http.StatusInternalServerError)
}

// The API gets neither cookies nor what the page may not say, and the browser nothing that would change the
// page's origin.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	header := b.fromPage()
	for name, value := range map[string]string{
		"Authorization": "Bearer of the page", "Proxy-Authorization": "x", "X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4",
		"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "x", "X-Real-IP": "1.2.3.4", "Referer": "x", "DPoP": "x",
		"Authorization_": "x", "X_Forwarded_For": "1.2.3.4", "Keep-Alive": "x", "Te": "trailers", "X-Secret-Hop": "x",
		"Connection": "Authorization, Cookie, X-Csrf, X-Secret-Hop, close", "Upgrade": "websocket", "X-Custom": "kept",
	} {
		header.Set(name, value)
	}
	got := b.echoed(b.send("GET", "/api/items/42", header, "")).Header
	for _, name := range []string{
		"Cookie", "Proxy-Authorization", "Forwarded", "X-Real-Ip", "Referer", "Dpop", "Authorization_", "X_forwarded_for",
		"Keep-Alive", "X-Secret-Hop", "Connection", "Upgrade", "X-Csrf", "Origin", "Sec-Fetch-Site",
	} {
		if got.Get(name) != "" || len(got[name]) > 0 {
			t.Errorf("the API got %s: %s", name, got.Get(name))
		}
	}
	want := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": strings.TrimPrefix(a.URL, "http://"),
		"X-Custom": "kept",
	}
	for name, value := range want {
		if got.Get(name) != value || len(got[name]) != 1 {
			t.Errorf("%s is %v, want %s", name, got[name], value)
		}
	}
	if sent := got["Authorization"]; len(sent) != 1 || !strings.HasPrefix(sent[0], "Bearer eyJ") {
		t.Errorf("Authorization: %v", sent)
	}

	a.reply = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", sessionCookie+"=x; Path=/; Secure")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Clear-Site-Data", `"*"`)
		w.Header().Set("Location", a.api.URL+"/v1/items/43?x=1")
		w.WriteHeader(http.StatusCreated)
	}
	resp := b.page("POST", "/api/items")
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Clear-Site-Data"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("the browser got %s", name)
		}
	}
	if resp.Header.Get("Location") != "/api/items/43?x=1" || resp.Header.Get("Cache-Control") != "private, no-cache" ||
		!slices.Contains(resp.Header["Vary"], "Cookie") || len(resp.Header["X-Content-Type-Options"]) != 1 {
		t.Errorf("%v", resp.Header)
	}
}

// Paths and bodies cannot leave the part of the API that is meant.
func TestProxyLimits(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.MaxBody = 1000 })
	b := a.browser()
	b.login()
	for _, path := range []string{
		"/api/%2e%2e/admin", "/api/x/..%2f..%2fadmin", "/api/%5c..%5cadmin", "/api/%2e/x", "/api/a%0d%0ab", "/api/a%00",
	} {
		b.want(path, b.page("GET", path), http.StatusBadRequest)
	}
	for _, method := range []string{"TRACE", "PROPFIND"} {
		b.want(method, b.page(method, "/api/items/42"), http.StatusMethodNotAllowed)
	}
	large := b.send("POST", "/api/items", b.fromPage(), strings.Repeat("x", 1001))
	b.want("a large body", large, http.StatusRequestEntityTooLarge)
	b.want("nothing else", b.page("GET", "/bff/other"), http.StatusNotFound)
	if a.called.Load() != 0 {
		t.Error("the API was called")
	}
	b.want("a body of the limit", b.send("POST", "/api/items", b.fromPage(), strings.Repeat("x", 1000)), http.StatusOK)
	a.api.Close()
	b.want("API down", b.page("GET", "/api/items/42"), http.StatusBadGateway)
}

// Requests whose length is ambiguous are refused, and a large body without a length is cut.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.MaxBody = 1000 })
	b := a.browser()
	b.login()
	start := fmt.Sprintf("POST /api/items HTTP/1.1\r\nHost: x\r\nX-CSRF: 1\r\nCookie: %s=%s\r\nConnection: close\r\n",
		sessionCookie, b.cookies[sessionCookie])
	const inner = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
	chunk := strings.Repeat("x", 2000)
	for name, rest := range map[string]string{
		"length and chunks":   "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":         "Content-Length: 0\r\nContent-Length: 30\r\n\r\n" + inner,
		"strange encoding":    "Transfer-Encoding: xchunked\r\n\r\n" + inner,
		"space before colon":  "Transfer-Encoding : chunked\r\n\r\n" + inner,
		"folded header":       "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n" + inner,
		"line feed in header": "X-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n" + inner,
		"too large in chunks": "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + chunk + "\r\n0\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", a.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, start+rest); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		if strings.Contains(string(text), "/admin") && strings.Contains(string(text), `"uri":"/admin"`) {
			t.Errorf("%s: the API got a second request", name)
		}
		if name == "too large in chunks" && resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s", name, resp.Status)
		}
		conn.Close()
	}
}

// On http, for browsers that do not trust this machine, cookies can do without Secure and __Host-.
func TestInsecureCookies(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *bff.Config) { c.InsecureCookies = true })
	b := a.browser()
	b.login()
	if !b.loggedIn() || b.cookies["bff"] == "" {
		t.Errorf("cookies %v", b.cookies)
	}
}

// An informational response of the API takes nothing from the final one, and does not reach the page.
func TestInformationalResponse(t *testing.T) {
	t.Parallel()
	a := newApp(t, nil)
	b := a.browser()
	b.login()
	a.reply = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Report-To", "{}")
		w.WriteHeader(http.StatusOK)
	}
	a.auth.clock.pass(10 * time.Minute) // the access token is refreshed
	resp := b.page("GET", "/api/items/42")
	b.want("call", resp, http.StatusOK)
	h := resp.Header
	if len(resp.Cookies()) == 0 || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" ||
		h.Get("Report-To") != "" {
		t.Errorf("got %v", h)
	}
}
