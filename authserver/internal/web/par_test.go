package web_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// parApp is a confidential client that must push its requests. codeApp may, and is public.
const parApp = "par-app"

// parSite is a site whose clients push authorization requests.
type parSite struct {
	*site
	auth change // of parApp
}

func newPARSite(t *testing.T) *parSite {
	t.Helper()
	s := newSite(t)
	s.addCodeApp()
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(secret)
	s.secrets[parApp] = secret
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: parApp, Name: "PAR App", SecretDigest: digest, RequirePAR: true, CreatedAt: s.clock(),
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile", "items:read"},
		RedirectURIs: []string{"https://app.example/back"},
	}))
	return &parSite{s, basic(parApp, secret)}
}

// push sends a pushed authorization request.
func (s *parSite) push(form url.Values, changes ...change) answer {
	s.t.Helper()
	r := s.request(form.Encode(), changes...)
	r.URL.Path = "/par"
	got := s.send(r)
	got.decode(&got.body)
	return got
}

// pushed pushes a request of parApp with changes and returns the query for the browser.
func (s *parSite) pushed(changes ...string) url.Values {
	s.t.Helper()
	got := s.push(codeRequest(append([]string{"client_id", parApp, "state", "st"}, changes...)...), s.auth)
	uri, _ := got.body["request_uri"].(string)
	if got.status != http.StatusCreated || !strings.HasPrefix(uri, grant.RequestURIPrefix) ||
		got.body["expires_in"] != float64(90) || got.header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%d %v %s", got.status, got.header, got.text)
	}
	s.hide(uri)
	return url.Values{"client_id": {parApp}, "request_uri": {uri}}
}

// browse opens the authorization endpoint.
func (s *parSite) browse(query url.Values, cookie string) answer {
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+query.Encode(), nil), cookie))
}

// follow opens where a page has sent the browser on this server.
func (s *parSite) follow(got answer, cookie string) answer {
	s.t.Helper()
	to := got.header.Get("Location")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(to, "/authorize?") {
		s.t.Fatalf("%d to %q\n%s", got.status, to, got.text)
	}
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+to, nil), cookie))
}

// logIn sends the form of the login page and returns the response with the session's cookie.
func (s *parSite) logIn(query url.Values) (got answer, cookie string) {
	s.t.Helper()
	got = s.serve(pageForm("/login", url.Values{
		"username": {john}, "password": {password}, "continue": {query.Encode()},
	}))
	cookie, _, _ = strings.Cut(got.header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	if value == "" {
		s.t.Fatalf("no session: %d %s", got.status, got.text)
	}
	s.hide(value)
	return got, cookie
}

// allow sends the form of the consent page.
func (s *parSite) allow(query url.Values, cookie string) answer {
	return s.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {query.Encode()}, "user": {s.userID(john)}, "decision": {"allow"},
	}), cookie))
}

// expectConsent checks that the consent page is shown.
func (s *site) expectConsent(what string, got answer) {
	s.t.Helper()
	if got.status != http.StatusOK || !strings.Contains(got.text, `name="decision"`) {
		s.t.Errorf("%s: %d to %s\n%s\nwant the consent page", what, got.status, got.header.Get("Location"), got.text)
	}
}

// RFC 9126 sections 2.2 and 4: login, consent and a code from client_id and request_uri alone.
func TestPushedRequest(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	query := s.pushed()
	s.wait(89 * time.Second)
	s.expectLogin("first", s.browse(query, ""))
	s.wait(5 * time.Minute) // the user looks for the password
	s.expectLogin("loaded again", s.browse(query, ""))
	got, cookie := s.logIn(query)
	s.expectConsent("after the login", s.follow(got, cookie))
	response := s.response("allowed", s.allow(query, cookie))
	if response.Get("code") == "" || response.Get("state") != "st" || response.Get("iss") != issuer {
		t.Errorf("response %v", response)
	}
	s.browse(query, cookie).says("used", http.StatusBadRequest, "It was already used, or has expired.")
	s.allow(query, cookie).says("allowed again", http.StatusBadRequest, "This link no longer works")

	// The consent is remembered, and other parameters of the browser have no effect (RFC 9101 section 6.3).
	query = s.pushed()
	query.Set("redirect_uri", "https://evil.example/")
	query.Set("state", "forged")
	query.Set("prompt", "none consent")
	response = s.response("second login", s.browse(query, cookie))
	if response.Get("code") == "" || response.Get("state") != "st" {
		t.Errorf("response %v", response)
	}
	unopened := s.pushed()
	s.wait(90 * time.Second)
	s.browse(unopened, cookie).says("expired", http.StatusBadRequest, "This link no longer works")
	opened := s.pushed("prompt", "consent")
	s.expectConsent("opened", s.browse(opened, cookie))
	s.wait(grant.OpenedLifetime)
	s.allow(opened, cookie).says("opened long ago", http.StatusBadRequest, "This link no longer works")
}

// What a pushed request asks for is asked once, although the request stays as it is.
func TestPromptOfPushedRequest(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	_, cookie := s.logIn(s.pushed())
	s.wait(time.Second)
	for _, tt := range [][]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"}, {"max_age", "1"}} {
		s.wait(2 * time.Second)
		query := s.pushed(tt...)
		name := strings.Join(tt, "=")
		s.expectLogin(name, s.browse(query, cookie))
		var got answer
		got, cookie = s.logIn(query)
		got = s.follow(got, cookie)
		if got.status == http.StatusOK { // the first time
			s.expectConsent(name, got)
			got = s.allow(query, cookie)
		}
		if s.response(name, got).Get("code") == "" {
			t.Errorf("%s: %d to %s", name, got.status, got.header.Get("Location"))
		}
	}
	query := s.pushed("prompt", "consent")
	s.expectConsent("prompt=consent", s.browse(query, cookie))
	if s.response("prompt=consent", s.allow(query, cookie)).Get("code") == "" {
		t.Error("prompt=consent: no code")
	}
	query = s.pushed("prompt", "none")
	if s.response("prompt=none", s.browse(query, cookie)).Get("code") == "" {
		t.Error("prompt=none: no code")
	}
	s.expectError("prompt=none without a login", s.browse(s.pushed("prompt", "none"), ""), "login_required")
}

// The consent page lets the user log in as someone else, in the same request.
func TestLogInAgainForPushedRequest(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	query := s.pushed()
	_, cookie := s.logIn(query)
	query.Set("prompt", "login") // as the link of the page has it
	s.expectLogin("log in again", s.browse(query, cookie))
	got, cookie := s.logIn(query)
	s.expectConsent("after it", s.follow(got, cookie))
	denied := s.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {query.Encode()}, "user": {s.userID(john)}, "decision": {"deny"},
	}), cookie))
	s.expectError("denied", denied, "access_denied")
}

// RFC 9126 section 2.3: errors are JSON, and the same as those of the authorization endpoint.
func TestPushedRequestErrors(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	repeated := codeRequest("client_id", parApp)
	repeated["state"] = []string{"a", "b"}
	two := codeRequest("client_id", parApp)
	two["resource"] = []string{"https://a.example", "https://b.example"}
	with := func(changes ...string) url.Values {
		return codeRequest(append([]string{"client_id", parApp}, changes...)...)
	}
	for _, tt := range []struct {
		name, code, says string
		form             url.Values
	}{
		{"no parameters", "invalid_request", "redirect_uri", url.Values{}},
		{"request_uri", "invalid_request", "request_uri cannot be pushed", with("request_uri", grant.RequestURIPrefix+"x")},
		{"request object", "request_not_supported", "", with("request", "a.b.c")},
		{"repeated", "invalid_request", "more than once", repeated},
		{"two APIs", "invalid_target", "", two},
		{"NUL", "invalid_request", "NUL", with("state", "\x00")},
		{"other redirect URI", "invalid_request", "must exactly match", with("redirect_uri", "https://evil.example/")},
		{"no redirect URI", "invalid_request", "missing: redirect_uri", with("redirect_uri", "")},
		{"response type", "unsupported_response_type", "", with("response_type", "token")},
		{"no response type", "invalid_request", "response_type", with("response_type", "")},
		{"response mode", "invalid_request", "response_mode", with("response_mode", "fragment")},
		{"no PKCE", "invalid_request", "code_challenge", with("code_challenge", "")},
		{"plain PKCE", "invalid_request", "S256", with("code_challenge_method", "plain")},
		{"scope", "invalid_scope", "admin", with("scope", "admin")},
		{"unknown API", "invalid_target", "", with("resource", "https://nowhere.example")},
		{"max_age", "invalid_request", "max_age", with("max_age", "soon")},
		{"prompt", "invalid_request", "prompt", with("prompt", "none login")},
		{"openid without keys", "invalid_scope", "HALLPASS_KEYS_FILE", with("scope", "openid")},
		{"another client", "invalid_request", "client_id differs", with("client_id", codeApp)},
	} {
		got := s.push(tt.form, s.auth)
		description, _ := got.body["error_description"].(string)
		if got.status != http.StatusBadRequest || got.body["error"] != tt.code || !strings.Contains(description, tt.says) {
			t.Errorf("%s: %d %s, want %s that says %q", tt.name, got.status, got.text, tt.code, tt.says)
		}
	}
	for name, size := range map[string]int{"too long": 4096, "a body that is too large": 20_000} {
		got := s.push(with("state", strings.Repeat("x", size)), s.auth)
		description, _ := got.body["error_description"].(string)
		if got.status != http.StatusRequestEntityTooLarge || got.body["error"] != "invalid_request" ||
			!strings.Contains(description, "longer than 4096") {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	for name, changes := range map[string][]change{
		"wrong secret": {basic(parApp, "x")}, "no secret": nil, "unknown client": {basic("nobody", "x")},
	} {
		got := s.push(with(), changes...)
		if name == "unknown client" {
			got = s.push(codeRequest("client_id", "nobody"), changes...)
		}
		if got.status != http.StatusUnauthorized || got.body["error"] != "invalid_client" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	for name, r := range map[string]*http.Request{
		"GET":       httptest.NewRequest(http.MethodGet, issuer+"/par", nil),
		"query":     httptest.NewRequest(http.MethodPost, issuer+"/par?"+with().Encode(), nil),
		"not forms": httptest.NewRequest(http.MethodPost, issuer+"/par", strings.NewReader(`{"client_id":"x"}`)),
	} {
		if got := s.serve(r); got.status != http.StatusBadRequest && got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}

// RFC 9126 sections 2.2 and 4: a request_uri is bound to its client, and cannot be guessed or changed.
func TestForeignRequestURI(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	cookie := s.sessionCookie()
	query := s.pushed()
	uri := query.Get("request_uri")
	for name, q := range map[string]string{
		"another client":  "client_id=" + codeApp + "&request_uri=" + uri,
		"no client":       "request_uri=" + uri,
		"unknown client":  "client_id=nobody&request_uri=" + uri,
		"two clients":     "client_id=" + parApp + "&client_id=" + codeApp + "&request_uri=" + uri,
		"two request_uri": "client_id=" + parApp + "&request_uri=" + uri + "&request_uri=" + uri,
		"guessed":         "client_id=" + parApp + "&request_uri=" + grant.RequestURIPrefix + strings.Repeat("A", 43),
		"empty":           "client_id=" + parApp + "&request_uri=" + grant.RequestURIPrefix,
		"longer":          "client_id=" + parApp + "&request_uri=" + uri + "A",
		"NUL":             "client_id=" + parApp + "%00&request_uri=" + uri,
	} {
		got := s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+q, nil), cookie))
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s: %d to %s", name, got.status, got.header.Get("Location"))
		}
	}
	other := authorizeRequest("request_uri", "https://app.example/request.jwt", "state", "st")
	s.expectError("a request object", s.serve(withCookie(other, cookie)), "request_uri_not_supported")
	s.expectConsent("the client's own", s.browse(query, cookie))
}

// RFC 9126 section 6: a client that is set to it must push; others may.
func TestRequirePAR(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	cookie := s.sessionCookie()
	got := s.serve(withCookie(authorizeRequest("client_id", parApp, "state", "st"), cookie))
	if says := s.expectError("not pushed", got, "invalid_request"); !strings.Contains(says, "RFC 9126") {
		t.Errorf("description %q", says)
	}
	pushed := s.push(codeRequest())
	uri, _ := pushed.body["request_uri"].(string)
	s.hide(uri)
	got = s.browse(url.Values{"client_id": {codeApp}, "request_uri": {uri}}, cookie)
	if s.response("a public client", got).Get("code") == "" {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	var metadata map[string]any
	s.metadata().decode(&metadata)
	if metadata["pushed_authorization_request_endpoint"] != issuer+"/par" ||
		metadata["require_pushed_authorization_requests"] != false {
		t.Errorf("metadata %v", metadata)
	}
}

// Of many browsers with one request_uri, one gets a code.
func TestPushedRequestIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	cookie := s.sessionCookie()
	s.expectConsent("first", s.browse(s.pushed(), cookie))
	s.response("allowed", s.allow(s.pushed(), cookie))
	query := s.pushed()
	var mu sync.Mutex
	codes := 0
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got := s.browse(query, cookie)
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(got.header.Get("Location"), "code=") {
				codes++
			} else if got.status != http.StatusBadRequest {
				t.Errorf("%d to %s", got.status, got.header.Get("Location"))
			}
		})
	}
	group.Wait()
	if codes != 1 {
		t.Errorf("%d codes, want 1", codes)
	}
}

// Nobody can fill the table with requests of a public client, nor that of used proofs (RFC 9449 section 11.1).
func TestTooManyPushedRequests(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	for i := range grant.MaxPushedOfNetwork {
		if got := s.push(codeRequest("state", strconv.Itoa(i))); got.status != http.StatusCreated {
			t.Fatalf("request %d: %d %s", i, got.status, got.text)
		}
	}
	got := s.push(codeRequest())
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" ||
		got.body["error"] != "temporarily_unavailable" {
		t.Errorf("one more: %d %v %s", got.status, got.header, got.text)
	}
	s.pushed() // a client with a secret is not affected
	proof := header("Dpop", s.newKey().proof("POST", "/par", s.proofs().Nonce()))
	for _, tt := range []struct {
		address string
		status  int
	}{
		{"127.0.0.1:1", http.StatusTooManyRequests}, {"192.0.2.77:1", http.StatusCreated},
		{"192.0.2.77:1", http.StatusBadRequest},
	} {
		r := pageForm("/par", codeRequest())
		r.RemoteAddr = tt.address
		proof(r)
		if got := s.serve(r); got.status != tt.status {
			t.Errorf("a proof from %s: %d %s, want %d", tt.address, got.status, got.text, tt.status)
		}
	}
}
