package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Requests of clients of the FastAPI tutorial, which go on working.
func TestTokenRequestsOfTheTutorial(t *testing.T) {
	s := newSite(t)
	for _, body := range []string{
		login(), login("grant_type", "password"), login() + "&grant_type=", login("scope", "profile"),
		login("client_id", demo), login("unknown", "x", "other", "y"),
	} {
		s.expectOK(body, s.post(body))
	}
	for _, body := range []string{
		login("password", guess), login("username", "nobody"), login("username", "John.Doe"),
		login("password", strings.Repeat("x", 100)),
	} {
		s.post(body).expect(body, http.StatusBadRequest, oauth.CodeInvalidGrant, "Incorrect username or password")
	}
	for body, field := range map[string]string{
		login("username", ""): "username", login("password", ""): "password",
		login("username", "") + "&username=": "username", "": "username and password",
	} {
		s.post(body).expect(body, http.StatusBadRequest, oauth.CodeInvalidRequest, "missing: "+field)
	}
}

// RFC 6749 section 5.1: the members of the response. RFC 9068 section 2: header and claims of
// the token, read without code of ours.
func TestTokenAnswer(t *testing.T) {
	s := newSite(t)
	a := s.post(login("client_id", public, "grant_type", "password"))
	raw, _ := a.body["access_token"].(string)
	s.expectOK("login", a)
	want := map[string]any{"access_token": raw, "token_type": "bearer", "expires_in": 1800.0,
		"scope": "profile items:read"}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}

	user, err := s.data.UserByUsername(t.Context(), john)
	s.must(err)
	parts := strings.Split(raw, ".")
	head, claims := decoded(t, parts[0]), decoded(t, parts[1])
	if diff := cmp.Diff(map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": head["kid"]}, head); diff != "" ||
		head["kid"] == "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	now := float64(s.clock().Unix())
	wantClaims := map[string]any{
		"iss": issuer, "sub": user.ID, "aud": []any{audience}, "exp": now + 1800, "iat": now, "jti": claims["jti"],
		"client_id": public,
		"scope":     "profile items:read", "preferred_username": john, "name": "John Doe",
		"status": map[string]any{"status_list": map[string]any{"idx": 1.0, "uri": issuer + "/status-lists/0"}},
		"acr":    "1", "amr": []any{"pwd"}, "auth_time": now, // RFC 9068 section 2.2.1
	}
	if diff := cmp.Diff(wantClaims, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func decoded(t *testing.T, part string) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// Two tokens of one second differ, and each has its own bit in the status list.
func TestTokensAreUnique(t *testing.T) {
	s := newSite(t)
	ids, bits := map[string]bool{}, map[token.Status]bool{}
	const logins = 5
	for range logins {
		claims := s.expectOK("login", s.post(login()))
		ids[claims.ID] = true
		if claims.Status != nil {
			bits[*claims.Status] = true
		}
	}
	if len(ids) != logins || len(bits) != logins {
		t.Errorf("%d tokens have %d ids and %d bits", logins, len(ids), len(bits))
	}
}

// RFC 6749 section 5.1: the scope is in the response. Section 3.3: a client gets no more than it
// may have.
func TestTokenScope(t *testing.T) {
	s := newSite(t)
	for asked, want := range map[string]string{
		"": "profile items:read", "profile": "profile", "items:read profile": "items:read profile",
		" profile  profile ": "profile",
	} {
		a := s.post(login() + "&scope=" + strings.ReplaceAll(asked, " ", "+"))
		claims := s.expectOK(asked, a)
		if a.body["scope"] != want || claims.Scope.String() != want {
			t.Errorf("asked for %q: the response says %v, the token %v", asked, a.body["scope"], claims.Scope)
		}
	}
	for asked, says := range map[string]string{
		"admin": "admin", "profile items:write": "items:write", "profile\titems:read": "3.3", `"profile"`: "3.3", "é": "3.3",
		`a\b`:                      "3.3",
		strings.Repeat("a ", 1000): "1024 bytes", `<script>`: "<script>",
	} {
		s.post(login("scope", asked)).expect(asked, http.StatusBadRequest, oauth.CodeInvalidScope, says)
	}
}

// RFC 8707 section 2: a token for an API that nobody knows is not issued.
func TestTokenForAnUnknownAPI(t *testing.T) {
	s := newSite(t)
	for _, same := range []string{audience, audience + "/", audience + ":443/"} { // RFC 3986 section 6.2.3
		claims := s.expectOK(same, s.post(login("resource", same)))
		if !slices.Equal(claims.Audience, []string{audience}) {
			t.Errorf("resource %s: aud %v", same, claims.Audience)
		}
	}
	for _, target := range []string{"https://other.example", audience + "/v1", strings.ToUpper(audience), "x",
		strings.Repeat("x", 1000)} {
		s.post(login("resource", target)).expect(target, http.StatusBadRequest, oauth.CodeInvalidTarget, "resource")
	}
	s.post(login("resource", audience)+"&resource=x").
		expect("two APIs", http.StatusBadRequest, oauth.CodeInvalidTarget, "more than once")
}

// RFC 6749 section 3.2: POST only.
func TestTokenMethods(t *testing.T) {
	s := newSite(t)
	for _, method := range []string{"GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW"} {
		a := s.send(s.request(login(), func(r *http.Request) { r.Method = method }))
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	for _, path := range []string{"//token", "/token/", "/Token", "/x/../token", "/./token", "/token/x"} {
		a := s.send(s.request(login(), func(r *http.Request) { r.URL.Path = path }))
		if a.status != http.StatusNotFound || a.header.Get("Location") != "" {
			t.Errorf("%s: %d, Location %q", path, a.status, a.header.Get("Location"))
		}
	}
}

// RFC 6749 section 5.2: the response is the same, to the byte, whatever was wrong with username
// or password.
func TestRefusalsLookTheSame(t *testing.T) {
	s := newSite(t)
	want := s.post(login("password", guess))
	want.expect("wrong password", http.StatusBadRequest, oauth.CodeInvalidGrant, "Incorrect username or password")
	for _, body := range []string{
		login("username", "nobody"), login("username", disabled), login("username", disabled, "password", guess),
		login("username", "JOHN.DOE"), login("username", "john. doe"), login("username", john+"\u200b"),
		login("password", strings.Repeat("x", 100)), login("password", password+" "),
		login("username", strings.Repeat("x", 1000)),
	} {
		got := s.post(body)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{}), cmpopts.IgnoreFields(answer{}, "t"),
			cmpopts.IgnoreMapEntries(
				func(name string, _ []string) bool { return name == "Date" })); diff != "" {
			t.Errorf("%s (-wrong password +this):\n%s", body, diff)
		}
	}
}

// A right password is not counted as a failure, even if the request fails for another reason.
func TestRightPasswordIsNotCounted(t *testing.T) {
	s := newSite(t)
	for range 12 {
		s.post(login("scope", "items:write")).expect("a scope that the client may not have", http.StatusBadRequest,
			oauth.CodeInvalidScope, "items:write")
	}
	s.expectOK("login", s.post(login()))
}

// Phones add a space after the username, and some keyboards send fullwidth letters.
func TestUsernameOfAKeyboard(t *testing.T) {
	s := newSite(t)
	for _, username := range []string{john + " ", " " + john, john + "\u00a0", "ｊohn.doe"} {
		s.expectOK(username, s.post(login("username", username)))
	}
}

// RFC 6749 section 4.3.2: failed logins slow an account down, and the response says for how long.
func TestLoginsAreThrottled(t *testing.T) {
	for _, username := range []string{john, "nobody"} {
		s := newSite(t)
		for range 10 {
			s.post(login("username", username, "password", guess)).expect("a guess", http.StatusBadRequest,
				oauth.CodeInvalidGrant, "")
		}
		for _, p := range []string{guess, password} {
			a := s.post(login("username", username, "password", p))
			a.expect("one too many", http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "1 second")
			if a.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
		}
		s.wait(time.Second)
		if username == john {
			s.expectOK("after the wait", s.post(login()))
		} else {
			s.post(login("username", username)).expect("after the wait", http.StatusBadRequest, oauth.CodeInvalidGrant, "")
		}
	}
}

// RFC 9700 section 2.4: a client may use the password grant only if it was registered for it.
// That is checked before the password is.
func TestGrantTypeOfTheClient(t *testing.T) {
	s := newSite(t)
	auth := basic(reporter, s.secrets[reporter])
	for _, p := range []string{password, guess} {
		s.post(login("grant_type", "password", "password", p), auth).expect("not allowed", http.StatusBadRequest,
			oauth.CodeUnauthorizedClient, "password")
	}
	if m := s.metrics(); strings.Contains(m, "invalid_grant") {
		t.Errorf("a password was checked:\n%s", m)
	}
	for _, grantType := range []string{"passwordx", "Password", "implicit", "token", "x", " password",
		"urn:ietf:params:oauth:grant-type:jwt-bearer"} {
		s.post(login("grant_type", grantType)).expect(grantType, http.StatusBadRequest, oauth.CodeUnsupportedGrantType,
			"grant type")
	}
	// Only the default client may leave it out, named or not.
	s.expectOK("the default client by name", s.post(login("client_id", demo)))
	for _, body := range []string{login("client_id", public), login("client_id", public) + "&grant_type="} {
		s.post(body).expect("another client", http.StatusBadRequest, oauth.CodeInvalidRequest, "grant_type is missing")
	}
	s.post(login(), basic(backend, s.secrets[backend])).expect("another client", http.StatusBadRequest,
		oauth.CodeInvalidRequest, "grant_type is missing")
}

// RFC 9110 section 15.6.4: a login that would wait too long gets 503 with Retry-After at once.
func TestOverload(t *testing.T) {
	gate := account.NewGate(1, 1)
	s := newSite(t, func(cfg *web.Config) {
		cfg.Passwords.(*account.Login).Gate = gate
	})
	busy, done := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { _ = gate.Do(t.Context(), "192.0.2.1", func() error { close(busy); <-done; return nil }) })
	<-busy
	group.Go(func() { s.expectOK("the one who waited", s.post(login())) })
	for gate.Waiting() == 0 {
		time.Sleep(time.Millisecond) // until the one is in line
	}
	s.post(login()).expect("one too many", http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable,
		"too many logins")
	s.post(login("password", "")).expect("no password, no wait", http.StatusBadRequest, oauth.CodeInvalidRequest,
		"password")
	close(done)
	group.Wait()
	s.expectOK("after the storm", s.post(login()))
}

// A client that hangs up while its login waits gives its place in the queue to others.
func TestHangingUpWhileWaiting(t *testing.T) {
	gate := account.NewGate(1, 1)
	s := newSite(t, func(cfg *web.Config) { cfg.Passwords.(*account.Login).Gate = gate })
	busy, done := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { _ = gate.Do(t.Context(), "192.0.2.1", func() error { close(busy); <-done; return nil }) })
	<-busy
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/token", strings.NewReader(login()))
	s.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	group.Go(func() {
		resp, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("the client that hung up got %s", resp.Status)
		}
	})
	for gate.Waiting() == 0 {
		time.Sleep(time.Millisecond) // until it waits
	}
	hangUp()
	for gate.Waiting() > 0 {
		time.Sleep(time.Millisecond) // until the server notices
	}
	group.Go(func() { s.expectOK("the next login", s.post(login())) })
	for gate.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(done)
	group.Wait()
}

// Without a database the response is 503, and the log has one line.
func TestClosedDatabase(t *testing.T) {
	s := newSite(t)
	s.must(s.data.Close())
	for name, a := range map[string]func() answer{
		"default client": func() answer { return s.post(login()) },
		"public client":  func() answer { return s.post(login("client_id", public, "grant_type", "password")) },
		"right secret": func() answer {
			return s.post(login("grant_type", "password"),
				basic(backend, s.secrets[backend]))
		},
		"unknown client": func() answer { return s.post(login("client_id", "nobody")) },
	} {
		before := strings.Count(s.log.String(), "\n")
		a().expect(name, http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable, "try again")
		if lines := strings.Count(s.log.String(), "\n") - before; lines != 1 ||
			!strings.Contains(s.log.String(), "level=ERROR") {
			t.Errorf("%s: %d lines in the log:\n%s", name, lines, s.log)
		}
	}
}

// failing are users that cannot be read for a reason that no code expects.
type failing struct{ account.LoginStore }

func (failing) UserByUsername(context.Context, string) (account.User, error) {
	return account.User{}, errors.New("a detail for us alone")
}

func TestUnforeseenError(t *testing.T) {
	s := newSite(t, func(cfg *web.Config) {
		passwords := cfg.Passwords.(*account.Login) // those of the token endpoint too
		passwords.Store = failing{passwords.Store}
	})
	a := s.post(login())
	a.expect("login", http.StatusInternalServerError, oauth.CodeServerError, "X-Request-Id")
	if strings.Contains(a.text, "detail") || !strings.Contains(s.log.String(), "a detail for us alone") {
		t.Errorf("the client got %s, the log %s", a.text, s.log)
	}
}

// A client that hangs up leaves no error in the log.
func TestRequestGivenUp(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/token", strings.NewReader(login()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a := s.tokenAnswer(s.serve(r))
	a.expect("canceled", http.StatusServiceUnavailable, oauth.CodeTemporarilyUnavailable, "canceled")
	if s.log.String() != "" {
		t.Errorf("the log says %s", s.log)
	}
}

func TestMetricsOfTheEndpoints(t *testing.T) {
	s := newSite(t)
	s.post(login())
	s.post(login())
	s.post(login("password", guess))
	s.post(login("client_id", "nobody-"+strings.Repeat("x", 50)))
	s.post("")
	r := httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
	s.serve(r)
	r.Header.Set("Authorization", "Bearer "+guess)
	// RFC 9728 section 3.3: the API's metadata does not describe this address.
	if challenge := s.serve(r).header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) ||
		strings.Contains(challenge, "resource_metadata") {
		t.Errorf("the challenge of /userinfo is %s", challenge)
	}
	const name = "token "
	const userinfo = "userinfo "
	want := map[string]float64{userinfo + "no_token": 1, userinfo + "invalid_token": 1, name + "ok": 2,
		name + "invalid_grant": 1, name + "invalid_client": 1, name + "invalid_request": 1}
	if diff := cmp.Diff(want, s.counted()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// A caller's own browser page may ask where its origin is allowed, and nowhere else.
func TestCORS(t *testing.T) {
	const app = "https://app.example"
	s := newSite(t, func(cfg *web.Config) { cfg.AllowedOrigins = []string{app} })
	preflight := func(origin, method string) answer {
		return s.send(s.request("", func(r *http.Request) { r.Method = http.MethodOptions },
			header("Origin", origin), header("Access-Control-Request-Method", method),
			header("Access-Control-Request-Headers", "authorization,content-type")))
	}
	a := preflight(app, "POST")
	if a.status/100 != 2 || a.header.Get("Access-Control-Allow-Origin") != app ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") ||
		!strings.EqualFold(a.header.Get("Access-Control-Allow-Headers"), "authorization,content-type") ||
		a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d, %v", a.status, a.header)
	}
	for what, a := range map[string]answer{"another origin": preflight("https://evil.example", "POST"),
		"another method": preflight(app, "DELETE")} {
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight from %s: %d, %v", what, a.status, a.header)
		}
	}
	plain := s.send(s.request("", func(r *http.Request) { r.Method = http.MethodOptions }))
	if plain.status != http.StatusMethodNotAllowed || plain.header.Get("Allow") != "POST" {
		t.Errorf("plain OPTIONS: %d, %v", plain.status, plain.header)
	}
	for _, body := range []string{login(), login("password", guess), "", login("client_id", "nobody")} {
		a := s.post(body, header("Origin", app))
		if a.header.Get("Access-Control-Allow-Origin") != app ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s: a page of the app may not read the answer: %v", body, a.header)
		}
		if a := s.post(body, header("Origin", "https://evil.example")); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: a page of another site may read the answer: %v", body, a.header)
		}
	}
}

// Scripts of every page may read public documents, and that a page is not there, with any header
// in the request. An endpoint for apps tells them of a method that it does not have.
func TestCORSOfPublicDocuments(t *testing.T) {
	const app = "https://app.example"
	s := newSite(t, func(cfg *web.Config) { cfg.AllowedOrigins = []string{app} })
	for path, status := range map[string]int{
		"/.well-known/oauth-authorization-server": 200, "/.well-known/openid-configuration": 200, "/jwks.json": 200,
		"/status-lists": 200, "/nowhere": 404, "/token/": 404,
	} {
		origin := header("Origin", "https://anywhere.example")
		got := s.get(path, origin)
		if got.status != status || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		got = s.get(path, origin, func(r *http.Request) { r.Method = http.MethodOptions },
			header("Access-Control-Request-Method", "GET"), header("Access-Control-Request-Headers", "x-any,x-other"))
		if got.status/100 != 2 || got.header.Get("Access-Control-Allow-Origin") != "*" ||
			got.header.Get("Access-Control-Allow-Headers") == "" || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight of %s: %d %v", path, got.status, got.header)
		}
	}
	for path, readable := range map[string]string{"/token": app, "/revoke": app, "/jwks.json": "*", "/introspect": ""} {
		got := s.get(path, header("Origin", app), func(r *http.Request) { r.Method = http.MethodPut })
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Access-Control-Allow-Origin") != readable {
			t.Errorf("PUT %s: %d %v", path, got.status, got.header)
		}
	}
}

func TestNoCORSUnlessAsked(t *testing.T) {
	s := newSite(t)
	a := s.send(s.request("", func(r *http.Request) { r.Method = http.MethodOptions },
		header("Origin", "https://app.example"), header("Access-Control-Request-Method", "POST")))
	if a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight: %d, %v", a.status, a.header)
	}
}

// A body of unknown length is read like any other.
func TestChunkedBody(t *testing.T) {
	s := newSite(t)
	chunked := func(r *http.Request) {
		r.ContentLength = -1
		r.Body = http.NoBody
	}
	s.post("", chunked).expect("no body", http.StatusBadRequest, oauth.CodeInvalidRequest, "missing")
	s.expectOK("chunked", s.post("", func(r *http.Request) {
		r.ContentLength = -1
		r.Body = readCloser{bytes.NewReader([]byte(login()))}
	}))
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
