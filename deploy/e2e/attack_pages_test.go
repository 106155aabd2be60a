package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// checkPageHeaders checks the headers that forbid framing, caching and scripts (RFC 9700
// section 4.16).
func checkPageHeaders(t *testing.T, got response) {
	t.Helper()
	directives := map[string]string{}
	for part := range strings.SplitSeq(got.header.Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		directives[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "frame-ancestors": "'none'", "base-uri": "'none'", "style-src": "'self'",
	} {
		if directives[name] != want {
			t.Errorf("the policy has %s %q, want %q", name, directives[name], want)
		}
	}
	if !strings.HasPrefix(directives["form-action"], "'self'") || directives["script-src"] != "" {
		t.Errorf("the policy has form-action %q and script-src %q", directives["form-action"], directives["script-src"])
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Referrer-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	checkNoCORS(t, got)
}

// checkNoCORS checks that no script of another origin may read the response (RFC 9700
// section 2.6).
func checkNoCORS(t *testing.T, got response) {
	t.Helper()
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the response has %s", name)
		}
	}
}

// Clickjacking: no page can be framed, and no other origin can read one.
func TestAttackFramedPages(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public")
	john := s.visit(t, a)
	stranger := &visitor{t: t, base: s.authURL}
	for name, got := range map[string]response{
		"login":             stranger.authorize(a),
		"wrong password":    stranger.post("/login", "username", "john.doe", "password", "wrong", "continue", a.query()),
		"consent":           john.authorize(a),
		"logout":            john.get("/logout"),
		"logged out":        stranger.get("/logout"),
		"broken link":       stranger.authorize(a, "redirect_uri", "https://evil.example"),
		"broken form":       stranger.post("/login", "username", "a", "username", "b"),
		"cross-site form":   stranger.send(crossSite("/login", "Sec-Fetch-Site", "cross-site", "continue", a.query())),
		"login, no request": stranger.post("/login"),
	} {
		t.Run(name, func(t *testing.T) { checkPageHeaders(t, got) })
	}
	t.Run("form-action allows this server and the scheme of the app", func(t *testing.T) {
		policy := john.authorize(a).header.Get("Content-Security-Policy")
		if !strings.HasSuffix(policy, "form-action 'self' https:") {
			t.Errorf("the policy is %q", policy)
		}
	})
	t.Run("a name that is HTML is escaped", func(t *testing.T) {
		b := s.register(t, "html", "https://app.example/callback", "--public", "--name", `<script>alert("x")</script>`)
		got := john.authorize(b)
		hint := stranger.authorize(b, "login_hint", `"><script>alert(1)</script>`, "state", `"><script>`)
		if strings.Contains(got.body+hint.body, "<script") || !strings.Contains(got.body, "&lt;script&gt;") {
			t.Errorf("the page has a script: %s %s", got.body, hint.body)
		}
	})
}

// No script of another origin can read the pages, not even of an origin that may call the
// API (RFC 9700 section 2.6).
func TestAttackScriptsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	s := startDemo(t) // allows the API's origin
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	john := s.visit(t, a)
	for _, origin := range []string{s.apiURL, "https://app.example", "https://evil.example", "null"} {
		for _, path := range []string{"/authorize?" + a.query(), "/logout"} {
			for _, method := range []string{http.MethodGet, http.MethodOptions} {
				t.Run(method+" "+path[:7]+" from "+origin, func(t *testing.T) {
					header := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {http.MethodGet}}
					checkNoCORS(t, john.send(request{method: method, path: path, header: header}))
				})
			}
		}
	}
}

// crossSite returns a form that another site's page would make a browser send. It has the
// fields of the login, consent and logout forms.
func crossSite(path, header, value string, fields ...string) request {
	r := form(append(fields, "username", "john.doe", "password", demoPassword, "decision", "allow", "apps", "end")...)
	r.path = path
	r.header.Set(header, value)
	return r
}

// CSRF: a form that another site makes a browser send does not log a user in or out, and
// gives no consent.
func TestAttackForgedForms(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public")
	john := s.visit(t, a)
	tokens := send(t, s.authURL, a.redemption(john.code(a))).tokens(t)
	third := s.register(t, "third", "https://third.example/callback", "--public")
	fields := formFields(john.authorize(third).body)
	forged := []struct{ header, value string }{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"}, // a host of the same domain
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", s.apiURL},
		{"Origin", strings.Replace(s.authURL, "http://", "http://evil.", 1)},
	}
	for _, path := range []string{"/login", "/consent", "/logout"} {
		for _, f := range forged {
			t.Run(path+" with "+f.header+" "+f.value, func(t *testing.T) {
				v := &visitor{t: t, base: s.authURL, cookie: john.cookie}
				got := v.send(crossSite(path, f.header, f.value, fields...))
				got.checkPage(t, http.StatusForbidden, "This form came from another site")
				if got.header.Get("Set-Cookie") != "" {
					t.Error("the form changed the cookie")
				}
			})
		}
	}
	t.Run("the forged forms had no effect", func(t *testing.T) {
		john.authorize(third).checkPage(t, http.StatusOK, "Allow access?")
		john.get("/logout").checkPage(t, http.StatusOK, "Log out?")
		send(t, s.authURL, a.refreshing(tokens.refresh)).tokens(t)
	})
	t.Run("a link does not log out", func(t *testing.T) {
		for _, path := range []string{"/logout", "/logout?apps=end", "/logout?decision=allow"} {
			john.get(path).checkPage(t, http.StatusOK, "Log out?")
		}
		john.get("/logout").checkPage(t, http.StatusOK, "Log out?")
	})
	t.Run("forms of the same origin pass", func(t *testing.T) {
		v := &visitor{t: t, base: s.authURL}
		v.send(crossSite("/login", "Sec-Fetch-Site", "same-origin", fields...)).location(t)
		v.send(crossSite("/consent", "Origin", s.authURL, fields...)).location(t)
		v.authorize(third).location(t) // allowed now
	})
}

// The pages refuse other methods, and a query never replaces a form.
func TestAttackOtherMethods(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	for path, allowed := range map[string][]string{
		"/authorize": {"GET", "POST"}, "/login": {"POST"}, "/consent": {"POST"}, "/logout": {"GET", "POST"},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
			if slices.Contains(allowed, method) {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				got := send(t, s.authURL, request{method: method, path: path + "?" + a.query()})
				for _, other := range allowed {
					if got.status != http.StatusMethodNotAllowed || !strings.Contains(got.header.Get("Allow"), other) {
						t.Errorf("got %d with Allow %q, want 405 and %s in it", got.status, got.header.Get("Allow"), other)
					}
				}
			})
		}
	}
	t.Run("a password in the query does not log in", func(t *testing.T) {
		v := &visitor{t: t, base: s.authURL}
		login := "/login?username=john.doe&password=" + demoPassword
		v.send(request{method: http.MethodPost, path: login, header: form().header}).
			checkPage(t, http.StatusBadRequest, "This form could not be read")
		if v.cookie != "" {
			t.Error("it logged John in")
		}
	})
	for name, r := range map[string]request{
		"repeated":    rawForm("username=john.doe&username=jane.smith&password=" + demoPassword),
		"NUL":         rawForm("username=john.doe%00&password=" + demoPassword),
		"not UTF-8":   rawForm("username=john.doe&password=%ff"),
		"not a form":  {method: http.MethodPost, body: "{}", header: http.Header{"Content-Type": {"application/json"}}},
		"very large":  rawForm("username=" + strings.Repeat("j", 20_000)),
		"no password": rawForm(""),
	} {
		t.Run("login form: "+name, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL}
			r.path = "/login"
			got := v.send(r)
			if got.status != http.StatusBadRequest || v.cookie != "" {
				t.Errorf("got %d and the cookie %q, want a refusal", got.status, v.cookie)
			}
			checkPageHeaders(t, got)
		})
	}
}
