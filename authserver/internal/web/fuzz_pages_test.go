package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// fuzzed returns a request with any text as path and query, and false if net/http would not accept it from the network.
func fuzzed(method, path, query, body string) (*http.Request, bool) {
	target := (&url.URL{Path: "/" + strings.TrimLeft(path, "/"), RawQuery: query}).String()
	u, err := url.ParseRequestURI(target)
	if err != nil || strings.ContainsAny(target, " \r\n\t") {
		return nil, false
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL, r.RequestURI, r.Host = u, target, "login.example"
	return r, true
}

// A page is never a server error, cannot be framed and has no script, and none of its text is markup of the request.
func FuzzPages(f *testing.F) {
	const markup = "<b data-fuzz>"
	form := "application/x-www-form-urlencoded"
	for _, seed := range [][4]string{
		{"GET", "/", "", ""},
		{"GET", "/authorize", codeRequest().Encode(), ""},
		{"GET", "/authorize", codeRequest("client_id", markup, "state", markup, "scope", markup).Encode(), ""},
		{"GET", "/authorize", codeRequest("prompt", "none login", "max_age", "-1").Encode(), ""},
		{"POST", "/authorize", "", codeRequest("state", markup).Encode()},
		{"POST", "/login", "", url.Values{"username": {markup}, "password": {"x"},
			"continue": {codeRequest("state", markup).Encode()}}.Encode()},
		{"POST", "/consent", "", url.Values{"continue": {codeRequest().Encode()}, "decision": {"allow"}}.Encode()},
		{"GET", "/device", "user_code=" + url.QueryEscape(markup), ""},
		{"POST", "/device", "", "user_code=BCDF-GHJK"},
		{"GET", "/end_session", "state=" + url.QueryEscape(markup), ""},
		{"POST", "/end_session/confirm", "", "continue=" + url.QueryEscape("client_id="+markup)},
		{"GET", "/account/logins", "from=" + url.QueryEscape(markup), ""},
		{"POST", "/account/password", "", "password=x&new=y"},
		{"GET", "/status-lists/9223372036854775808/x", "time=1", ""},
		{"GET", "/userinfo", "access_token=x", ""},
		{"GET", "//evil.example/%2e%2e", "", ""},
		{"PATCH", "/jwks.json\x00", "%zz", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	s := newLogoutSite(f)
	cookie := s.sessionCookie()
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method) {
			return
		}
		r, ok := fuzzed(method, path, query, body)
		if !ok {
			return
		}
		r.Header.Set("Content-Type", form)
		got := (&site{t: t, handler: s.handler}).serve(withCookie(r, cookie))
		if got.status >= http.StatusInternalServerError {
			t.Errorf("%s %q %q %q: status %d: %s", method, path, query, body, got.status, got.text)
		}
		checkPage(t, got, markup)
		checkLocation(t, got)
	})
}

// checkPage checks what must hold for every page.
func checkPage(t *testing.T, got answer, markup string) {
	t.Helper()
	if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		return
	}
	policy := got.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") ||
		strings.Contains(policy, "script-src") || strings.Contains(got.text, markup) {
		t.Errorf("policy %q of the page\n%s", policy, got.text)
	}
}

// checkLocation checks that a browser stays here, or goes where the client has registered.
func checkLocation(t *testing.T, got answer) {
	t.Helper()
	location := got.header.Get("Location")
	if location == "" || strings.HasPrefix(location, "https://app.example/back?") {
		return
	}
	// A browser drops these, and reads a backslash as a slash.
	seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(location)
	base := &url.URL{Scheme: "https", Host: "login.example", Path: "/"}
	to, err := base.Parse(seen)
	if err != nil || to.Host != base.Host || to.Scheme != base.Scheme {
		if seen != loggedOutURI && !strings.HasPrefix(seen, loggedOutURI+"&") {
			t.Errorf("sent to %q", location)
		}
	}
}

// Whatever the query is, an authorization response goes to the registered redirect URI, names the issuer (RFC 9207),
// and has either a code or an error (RFC 6749 section 4.1.2).
func FuzzAuthorize(f *testing.F) {
	for _, query := range []string{
		codeRequest().Encode(), codeRequest("state", "s&t=é").Encode(), codeRequest("response_type", "token").Encode(),
		codeRequest("redirect_uri", "https://app.example/back@evil.example").Encode(),
		codeRequest("scope", "profile\x00").Encode(), codeRequest("code_challenge", "short").Encode(),
		codeRequest("max_age", "1e9").Encode(), codeRequest("prompt", "none").Encode(),
		codeRequest("request", "eyJ").Encode(), codeRequest("request_uri", "https://evil.example/").Encode(),
		codeRequest("resource", "https://other.example").Encode(), codeRequest().Encode() + "&state=1&state=2",
		codeRequest("response_mode", "fragment").Encode(), codeRequest("claims", "{").Encode(), "client_id=%zz", "",
	} {
		f.Add(query)
	}
	s := newSite(f)
	s.addCodeApp()
	cookie := s.sessionCookie()
	f.Fuzz(func(t *testing.T, query string) {
		r, ok := fuzzed("GET", "/authorize", query, "")
		if !ok {
			return
		}
		got := (&site{t: t, handler: s.handler}).serve(withCookie(r, cookie))
		if got.status == http.StatusOK || got.status == http.StatusBadRequest {
			return
		}
		rest, ok := strings.CutPrefix(got.header.Get("Location"), "https://app.example/back?")
		values, err := url.ParseQuery(rest)
		if got.status != http.StatusSeeOther || !ok || err != nil || values.Get("iss") != issuer ||
			values.Has("code") == values.Has("error") {
			t.Errorf("%q: status %d to %q", query, got.status, got.header.Get("Location"))
		}
		asked, err := url.ParseQuery(query)
		if err != nil || values.Has("code") && values.Get("state") != asked.Get("state") {
			t.Errorf("%q: the state of %q", query, rest)
		}
	})
}

// A link to the logout endpoint ends no session, unless it has an ID token of that session (OpenID Connect RP-Initiated
// Logout 1.0 section 2).
func FuzzEndSession(f *testing.F) {
	s := newLogoutSite(f)
	cookie := s.sessionCookie()
	hint := s.idTokenOf(s.logInToApp(s.sessionCookie()))
	for _, query := range []string{
		"", "client_id=" + openIDApp, "id_token_hint=x", "id_token_hint=" + hint, "state=1&state=2", "%zz",
		url.Values{"client_id": {openIDApp}, "post_logout_redirect_uri": {loggedOutURI}, "state": {"s&t"}}.Encode(),
		url.Values{"id_token_hint": {hint + "x"}, "post_logout_redirect_uri": {"https://evil.example/"}}.Encode(),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r, ok := fuzzed("GET", "/end_session", query, "")
		if !ok {
			return
		}
		b := &site{t: t, handler: s.handler, data: s.data}
		got := b.serve(withCookie(r, cookie))
		if !b.loggedIn(cookie) || (got.status != http.StatusOK && got.status != http.StatusBadRequest) {
			t.Errorf("%q: status %d to %q; logged in: %v", query, got.status, got.header.Get("Location"), b.loggedIn(cookie))
		}
	})
}

// Only the cookie that the login has set is a session.
func FuzzSessionCookie(f *testing.F) {
	s := newSite(f)
	s.addCodeApp()
	good := s.sessionCookie()
	name, value, _ := strings.Cut(good, "=")
	for _, header := range []string{
		"", good, good + "x", name + "=", name + `="` + value + `"`, strings.ToUpper(good),
		"a=b; " + good, good + "; " + good,
		name + "=x; " + good, name + " = " + value, good[:len(good)-1], name + "_browser=" + value, ";;=;", "\x00=\xff",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		b := &site{t: t, handler: s.handler, data: s.data}
		r := withCookie(authorizeRequest("prompt", "none"), header)
		found, err := r.Cookie(name)
		if got, want := b.response("cookie", b.serve(r)), err == nil && found.Value == value; got.Has("code") != want {
			t.Errorf("%q: %v", header, got)
		}
	})
}

// A client that registers itself gets redirect URIs that it has asked for and that are safe, and no scope or grant type
// that such clients may not have (RFC 7591 section 3.2).
func FuzzRegister(f *testing.F) {
	for _, body := range []string{
		validRegistration, `{"redirect_uris":["https://app.example/cb"]}`, `{"redirect_uris":[]}`, `{}`, `[]`, `null`, "",
		`{"redirect_uris":["https://a.example/"],"redirect_uris":["javascript:x"]}`,
		`{"redirect_uris":["https://a.example/"],"grant_types":["password","authorization_code"],"scope":"admin"}`,
		`{"redirect_uris":["https://a.example/"],"client_name":"\u202eevil\u0000"}`,
		`{"redirect_uris":["https://a.example/"],"jwks_uri":"https://169.254.169.254/"}`,
		`{"redirect_uris":[1],"client_name":{}}`, `{"redirect_uris":["https://a.example/"],"client_name":"\ud800"}`,
	} {
		f.Add(body)
	}
	s := newSite(f, openRegistration)
	f.Fuzz(func(t *testing.T, body string) {
		s.wait(time.Hour) // the limit of registrations is another test's
		b := &site{t: t, handler: s.handler, data: s.data}
		got := b.serve(registration("POST", "/register", "", body))
		if got.status == http.StatusBadRequest {
			code := oauth.ErrorCode(got.member("error"))
			if !slices.Contains([]oauth.ErrorCode{oauth.CodeInvalidRequest, oauth.CodeInvalidClientMetadata,
				oauth.CodeInvalidRedirectURI}, code) {
				t.Errorf("%q: %s", body, got.text)
			}
			return
		}
		if got.status != http.StatusCreated {
			t.Fatalf("%q: status %d: %s", body, got.status, got.text)
		}
		checkRegistered(t, body, got)
		token := got.member("registration_access_token")
		if end := b.serve(registration("DELETE", "/register/"+got.member("client_id"), token, "")); end.status != 204 {
			t.Errorf("delete: status %d: %s", end.status, end.text)
		}
	})
}

// checkRegistered checks the response to a registration that was accepted.
func checkRegistered(t *testing.T, body string, got answer) {
	t.Helper()
	var made, asked struct {
		RedirectURIs []string          `json:"redirect_uris"`
		GrantTypes   []oauth.GrantType `json:"grant_types"`
		Scope        string            `json:"scope"`
	}
	got.decode(&made)
	(answer{t: t, text: body}).decode(&asked)
	for _, uri := range made.RedirectURIs {
		if client.CheckRedirectURI(uri) != nil || !slices.Contains(asked.RedirectURIs, uri) {
			t.Errorf("%q: registered %q", body, uri)
		}
	}
	for _, g := range made.GrantTypes {
		if g != oauth.GrantAuthorizationCode && g != oauth.GrantRefreshToken {
			t.Errorf("%q: grant type %q", body, g)
		}
	}
	if len(made.RedirectURIs) == 0 || made.Scope != "profile" { // all that such clients may have here
		t.Errorf("%q: %s", body, got.text)
	}
}

// Whatever a client pushes, it is refused, or its request_uri is the client's alone (RFC 9126 section 2.2).
func FuzzPushedRequest(f *testing.F) {
	for _, body := range []string{
		codeRequest().Encode(), codeRequest("request_uri", "urn:x").Encode(), codeRequest("client_id", public).Encode(),
		codeRequest("redirect_uri", "https://evil.example/").Encode(), codeRequest("state",
			strings.Repeat("s", 9000)).Encode(),
		codeRequest("scope", "openid\x00").Encode(), "client_id=" + codeApp, "", "%zz",
	} {
		f.Add(body)
	}
	s := newSite(f)
	s.addCodeApp()
	s.addRedirecting("other-app", "", true, "https://app.example/back")
	f.Fuzz(func(t *testing.T, body string) {
		s.wait(time.Hour) // what was pushed before has expired
		b := &site{t: t, handler: s.handler, data: s.data}
		r := httptest.NewRequest("POST", issuer+"/par", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got := b.serve(r)
		if got.status != http.StatusCreated {
			if got.status >= http.StatusInternalServerError {
				t.Errorf("%q: status %d: %s", body, got.status, got.text)
			}
			return
		}
		query := url.Values{"client_id": {"other-app"}, "request_uri": {got.member("request_uri")}}
		other := b.serve(httptest.NewRequest("GET", issuer+"/authorize?"+query.Encode(), nil))
		if other.status != http.StatusBadRequest {
			t.Errorf("%q: another client got status %d", body, other.status)
		}
	})
}
