package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// broken is the heading of the page for an invalid authorization request.
const broken = "This link is broken"

// foreignURIs would pass for https://app.example/callback in anything but a comparison of
// strings, which RFC 9700 section 2.1 requires.
var foreignURIs = map[string]string{
	"no URI":               "",
	"suffix of the path":   "https://app.example/callback/evil",
	"slash at the end":     "https://app.example/callback/",
	"path traversal":       "https://app.example/callback/../evil",
	"encoded traversal":    "https://app.example/callback%2f..%2fevil",
	"path in other case":   "https://app.example/Callback",
	"host in other case":   "https://APP.example/callback",
	"scheme in other case": "HTTPS://app.example/callback",
	"encoded letter":       "https://app.example/%63allback",
	"encoded dot":          "https://app%2eexample/callback",
	"extra query":          "https://app.example/callback?next=https://evil.example",
	"empty query":          "https://app.example/callback?",
	"fragment":             "https://app.example/callback#evil",
	"empty fragment":       "https://app.example/callback#",
	"path parameter":       "https://app.example/callback;evil",
	"other port":           "https://app.example:8443/callback",
	"the default port":     "https://app.example:443/callback",
	"user":                 "https://evil@app.example/callback",
	"host as user":         "https://app.example@evil.example/callback",
	"host as user, hidden": "https://app.example%40evil.example/callback",
	"backslash":            `https://evil.example\@app.example/callback`,
	"backslashes":          `https:\\evil.example\callback`,
	"host with a suffix":   "https://app.example.evil.example/callback",
	"host with a prefix":   "https://evilapp.example/callback",
	"subdomain":            "https://evil.app.example/callback",
	"dot after the host":   "https://app.example./callback",
	"look-alike":           "https://аpp.example/callback", // the first letter is Cyrillic
	"plain http":           "http://app.example/callback",
	"no scheme":            "//app.example/callback",
	"path alone":           "/callback",
	"script":               "javascript:alert(1)//https://app.example/callback",
	"data":                 "data:text/html,https://app.example/callback",
	"line break":           "https://app.example/callback\r\nLocation: https://evil.example",
	"encoded line break":   "https://app.example/callback%0d%0aLocation:%20https://evil.example",
	"space before":         " https://app.example/callback",
	"space after":          "https://app.example/callback ",
	"tab within":           "https://app.example/call\tback",
	"NUL after":            "https://app.example/callback\x00",
	"not UTF-8":            "https://app.example/callback\xff",
}

// No browser is sent to a URI that the app has not registered. The user sees an error page
// instead, logged in or not, on every page of the flow (RFC 6749 section 4.1.2.1).
func TestAttackOpenRedirect(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	john := s.visit(t, a)
	for name, uri := range foreignURIs {
		t.Run(name, func(t *testing.T) {
			for _, prompt := range []string{"-", "none", "login"} {
				query := a.query("redirect_uri", uri, "prompt", prompt)
				for who, v := range map[string]*visitor{
					"nobody": {t: t, base: s.authURL},
					"John":   {t: t, base: s.authURL, cookie: john.cookie},
				} {
					t.Log(who, "logged in, prompt", prompt)
					v.get("/authorize?"+query).checkPage(t, http.StatusBadRequest, broken)
					got := v.login(query)
					got.checkPage(t, http.StatusBadRequest, broken)
					if got.header.Get("Set-Cookie") != "" {
						t.Error("the login sets a cookie, though the request is invalid")
					}
					v.post("/consent", "decision", "allow", "continue", query).checkPage(t, http.StatusBadRequest, broken)
					v.post("/consent", "decision", "deny", "continue", query).checkPage(t, http.StatusBadRequest, broken)
				}
			}
		})
	}
}

// The redirect URI of a native app may have any port, and differs in nothing else (RFC 8252
// section 7.3).
func TestAttackOpenRedirectOfNativeApp(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "native", "http://127.0.0.1/callback", "--public", "--first-party")
	john := s.visit(t, app{id: a.id, redirectURI: "http://127.0.0.1:4321/callback"})
	asked := john.authorize(a, "redirect_uri", "http://127.0.0.1:49152/callback") // RFC 8252 section 8.6
	asked.checkPage(t, http.StatusOK, "Allow access?")
	to := john.post("/consent", append(formFields(asked.body), "decision", "allow")...).location(t)
	if to.Host != "127.0.0.1:49152" {
		t.Errorf("redirected to %s, want the port that the app asked for", to)
	}
	for _, uri := range []string{
		"http://127.0.0.1:4321/other",
		"http://127.0.0.1:4321/callback?x=1",
		"http://127.0.0.1:4321@evil.example/callback",
		"http://127.0.0.1:evil@evil.example:80/callback",
		"http://127.0.0.1.evil.example:4321/callback",
		"http://127.0.0.2:4321/callback",
		"http://127.1:4321/callback",
		"http://2130706433:4321/callback",
		"http://localhost:4321/callback",
		"http://[::1]:4321/callback",
		"http://[::ffff:127.0.0.1]:4321/callback",
		"https://127.0.0.1:4321/callback",
		"http://127.0.0.1:04321x/callback",
		"http://127.0.0.1:/callback",
	} {
		t.Run(uri, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL, cookie: john.cookie}
			v.authorize(a, "redirect_uri", uri).checkPage(t, http.StatusBadRequest, broken)
		})
	}
}

// A login continues with an authorization request to this server, whatever the field
// "continue" says.
func TestAttackContinueOfLogin(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	for _, query := range []string{
		"", "https://evil.example/", "//evil.example/", `\\evil.example\`, `/\evil.example`,
		"javascript:alert(1)", "?" + a.query(), "%", "a;b",
		"//evil.example/?" + a.query("client_id", "-"),
	} {
		t.Run("refused: "+query, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL}
			v.login(query).checkPage(t, http.StatusBadRequest, broken)
		})
	}
	for _, query := range []string{
		"//evil.example/&" + a.query(),
		"@evil.example/&" + a.query(),
		a.query() + "&x=\r\nSet-Cookie: evil=1\r\n\r\n<script>",
		a.query() + "\r\nLocation: https://evil.example",
		a.query() + "#@evil.example",
		a.query() + "&x=\u2028é",
	} {
		t.Run("stays here: "+query, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL}
			got := v.login(query)
			if to := got.header.Get("Location"); !strings.HasPrefix(to, "/authorize?") || strings.ContainsAny(to, "\r\n") {
				t.Errorf("redirected to %q, want /authorize here", to)
			}
			if len(got.header["Set-Cookie"]) != 2 || len(got.header["Location"]) != 1 || got.body != "" {
				t.Errorf("the response was split: %v %q", got.header, got.body)
			}
		})
	}
	t.Run("refused: not UTF-8", func(t *testing.T) {
		v := &visitor{t: t, base: s.authURL}
		v.login(a.query()+"&x=\xff\x00").checkPage(t, http.StatusBadRequest, "This form could not be read")
	})
	t.Run("a request of the maximum length fits into the form", func(t *testing.T) {
		v := &visitor{t: t, base: s.authURL}
		state := strings.Repeat(" ", 4096-len(a.query("state", "")))
		v.authorize(a, "state", state).checkPage(t, http.StatusOK, "Log in")
		v.login(a.query("state", state)).location(t)
		if got := v.authorize(a, "state", state).location(t).Query().Get("state"); got != state {
			t.Errorf("the state came back with %d characters, want %d", len(got), len(state))
		}
		v.authorize(a, "state", state+" ").checkPage(t, http.StatusBadRequest, broken)
	})
}

// A request whose client is unknown or ambiguous leads to an error page, too (RFC 6749
// section 4.1.2.1).
func TestAttackAmbiguousClient(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	s.register(t, "other", "https://other.example/callback", "--public", "--first-party")
	john := s.visit(t, a)
	for name, query := range map[string]string{
		"unknown client":                    a.query("client_id", "nobody"),
		"no client":                         a.query("client_id", "-"),
		"empty client":                      a.query("client_id", ""),
		"client in another case":            a.query("client_id", "APP"),
		"NUL in the client":                 a.query("client_id", "app\x00"),
		"client that is not UTF-8":          a.query("client_id", "app\xff"),
		"client that is SQL":                a.query("client_id", "app' OR 1=1 --"),
		"very long client":                  a.query("client_id", strings.Repeat("a", 5000)),
		"client of another URI":             a.query("client_id", "other"),
		"two clients":                       a.query() + "&client_id=other",
		"the same client twice":             a.query() + "&client_id=app",
		"two redirect URIs":                 a.query() + "&redirect_uri=https%3A%2F%2Fevil.example",
		"two redirect URIs, valid one last": "redirect_uri=https%3A%2F%2Fevil.example&" + a.query(),
		"semicolons":                        strings.ReplaceAll(a.query(), "&", ";"),
		"half a percent escape":             a.query() + "&x=%f",
		"client of another grant":           a.query("client_id", "demo"),
		"very long request":                 a.query("state", strings.Repeat("a", 9000)),
		"unknown redirect URI, no client":   "redirect_uri=https%3A%2F%2Fevil.example",
	} {
		t.Run(name, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL, cookie: john.cookie}
			got := v.get("/authorize?" + query)
			got.checkPage(t, http.StatusBadRequest, broken)
			checkPageHeaders(t, got)
		})
	}
}

// Other errors of a request are reported to the client, with state and iss (RFC 6749 section
// 4.1.2.1, RFC 7636 section 4.4.1, RFC 9207 section 2).
func TestAttackMalformedAuthorization(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback?tenant=1", "--public", "--first-party")
	john := s.visit(t, a)
	for _, row := range []struct{ name, query, code string }{
		{"PKCE: no challenge", a.query("code_challenge", "-", "code_challenge_method", "-"), "invalid_request"},
		{"PKCE: empty challenge", a.query("code_challenge", ""), "invalid_request"},
		{"PKCE: method plain", a.query("code_challenge_method", "plain"), "invalid_request"},
		{"PKCE: method omitted, which means plain", a.query("code_challenge_method", "-"), "invalid_request"},
		{"PKCE: method empty", a.query("code_challenge_method", ""), "invalid_request"},
		{"PKCE: method in another letter case", a.query("code_challenge_method", "s256"), "invalid_request"},
		{"PKCE: two methods", a.query() + "&code_challenge_method=plain", "invalid_request"},
		{"PKCE: two challenges", a.query() + "&code_challenge=" + challenge, "invalid_request"},
		{"PKCE: short challenge", a.query("code_challenge", challenge[:42]), "invalid_request"},
		{"PKCE: long challenge", a.query("code_challenge", challenge+"A"), "invalid_request"},
		{"PKCE: challenge with padding", a.query("code_challenge", challenge+"="), "invalid_request"},
		{"PKCE: challenge in base64, not base64url", a.query("code_challenge", strings.Repeat("+", 43)), "invalid_request"},
		{"no response type", a.query("response_type", "-"), "invalid_request"},
		{"implicit", a.query("response_type", "token"), "unsupported_response_type"},
		{"hybrid", a.query("response_type", "code token"), "unsupported_response_type"},
		{"fragment", a.query("response_mode", "fragment"), "invalid_request"},
		{"form_post", a.query("response_mode", "form_post"), "invalid_request"},
		{"request object", a.query("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"},
		{"request object by URI", a.query("request_uri", "https://evil.example/"), "request_uri_not_supported"},
		{"scope: more than the client's", a.query("scope", "profile admin"), "invalid_scope"},
		{"scope: another letter case", a.query("scope", "Profile"), "invalid_scope"},
		{"scope: forbidden character", a.query("scope", `pro"file`), "invalid_scope"},
		{"two scopes", a.query("scope", "profile") + "&scope=admin", "invalid_request"},
		{"NUL", a.query("scope", "profile\x00"), "invalid_request"},
		{"not UTF-8", a.query("login_hint", "\xff"), "invalid_request"},
		{"parameter name that is not UTF-8", a.query("\xff", "x"), "invalid_request"},
		{"max_age is not a number", a.query("max_age", "-1x"), "invalid_request"},
		{"max_age is negative", a.query("max_age", "-5"), "invalid_request"},
		{"prompt none with others", a.query("prompt", "none consent"), "invalid_request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := &visitor{t: t, base: s.authURL, cookie: john.cookie}
			to := v.get("/authorize?" + row.query).location(t)
			got := to.Query()
			want := map[string]string{"error": row.code, "state": "the state", "iss": s.authURL, "code": "", "tenant": "1"}
			for name, value := range want {
				if got.Get(name) != value {
					t.Errorf("%s is %q, want %q", name, got.Get(name), value)
				}
			}
			if got.Get("error_description") == "" || to.Host != "app.example" || to.Path != "/callback" {
				t.Errorf("redirected to %s, want the app's redirect URI with an error_description", to)
			}
			stranger := &visitor{t: t, base: s.authURL}
			if row.name != "prompt none with others" { // which shows no page
				// The user logs in first (RFC 9700 section 4.11.2).
				stranger.get("/authorize?"+row.query).checkPage(t, http.StatusOK, "Log in")
			}
		})
	}
}

// Mix-up: every response has the issuer of the metadata as iss, and the state of the request
// unchanged (RFC 9207 section 2).
func TestAttackMixUp(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	third := s.register(t, "third", "https://third.example/callback", "--public")
	metadata := send(t, s.authURL, request{path: "/.well-known/oauth-authorization-server"})
	issuer := metadata.text(t, "issuer")
	if issuer != s.authURL || metadata.members(t)["authorization_response_iss_parameter_supported"] != true {
		t.Fatalf("the metadata does not promise iss: %s", metadata.body)
	}
	const state = "ü &=+%\"<script>\r\n\x01'; DROP TABLE"
	john := s.visit(t, a)
	asked := formFields(john.authorize(third, "state", state).body)
	for name, got := range map[string]response{
		"success":          john.authorize(a, "state", state),
		"error":            john.authorize(a, "state", state, "scope", "admin"),
		"prompt none":      (&visitor{t: t, base: s.authURL}).authorize(a, "state", state, "prompt", "none"),
		"consent required": john.authorize(third, "state", state, "prompt", "none"),
		"deny":             john.post("/consent", append(asked, "decision", "deny")...),
	} {
		t.Run(name, func(t *testing.T) {
			sent := got.location(t).Query()
			if sent.Get("iss") != issuer || sent.Get("state") != state || len(sent["iss"]) != 1 || len(sent["state"]) != 1 {
				t.Errorf("got iss %q and state %q", sent["iss"], sent["state"])
			}
		})
	}
	t.Run("no state in the request, none in the response", func(t *testing.T) {
		if got := john.authorize(a, "state", "-").location(t).Query(); got.Has("state") {
			t.Errorf("got state %q", got["state"])
		}
	})
}
