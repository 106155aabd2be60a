package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// loggedOutURI is where openIDApp lets users return to.
const loggedOutURI = "https://app.example/bye?x=1"

// newLogoutSite starts a site on which openIDApp can log users out.
func newLogoutSite(t testing.TB, change ...func(*client.Client)) *site {
	t.Helper()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp(append(change, func(c *client.Client) {
		c.PostLogoutRedirectURIs = []string{loggedOutURI, "com.example.app:/bye", "http://127.0.0.1/bye"}
	})...)
	return s
}

// logInToApp logs in to openIDApp and returns the token response.
func (s *site) logInToApp(cookie string) answer {
	s.t.Helper()
	return s.redeem("login", s.serve(withCookie(openIDRequest(), cookie)))
}

// idTokenOf returns the ID token of a response.
func (s *site) idTokenOf(a answer) string {
	s.t.Helper()
	raw, _ := a.body["id_token"].(string)
	if raw == "" {
		s.t.Fatalf("no ID token in %s", a.text)
	}
	s.hide(raw)
	return raw
}

// endSession sends the browser to the logout endpoint, with names and values of parameters.
func (s *site) endSession(cookie string, parameters ...string) answer {
	s.t.Helper()
	query := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		query.Add(parameters[i], parameters[i+1])
	}
	return s.endSessionByQuery(cookie, query.Encode())
}

func (s *site) endSessionByQuery(cookie, query string) answer {
	s.t.Helper()
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+"/end_session?"+query, nil), cookie))
}

// expectLoggedOut checks that the browser is sent on and has no session.
func (s *site) expectLoggedOut(what string, got answer, cookie, location string) {
	s.t.Helper()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != location {
		s.t.Errorf("%s: %d to %q, want to %q: %s", what, got.status, got.header.Get("Location"), location, got.text)
	}
	if s.loggedIn(cookie) {
		s.t.Errorf("%s: the session has not ended", what)
	}
}

// loggedIn reports whether the browser has a session.
func (s *site) loggedIn(cookie string) bool {
	s.t.Helper()
	got := s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+"/logout", nil), cookie))
	return strings.Contains(got.text, "John Doe")
}

// expectAsked checks that the user is asked, is still logged in, and sees no other text that the request has sent.
func (s *site) expectAsked(what string, got answer, cookie string) {
	s.t.Helper()
	if got.status != http.StatusOK || !strings.Contains(got.text, `action="/end_session/confirm"`) || !s.loggedIn(cookie) {
		s.t.Errorf("%s: %d to %q: %s", what, got.status, got.header.Get("Location"), got.text)
	}
}

// active reports whether a refresh token still works.
func (s *site) active(a answer) bool {
	s.t.Helper()
	refresh, _ := a.body["refresh_token"].(string)
	got := s.post(url.Values{
		"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refresh},
	}.Encode())
	return got.status == http.StatusOK
}

// OpenID Connect RP-Initiated Logout 1.0 sections 2 and 3: a hint of this session logs out at once, also by POST and
// with an expired token.
func TestEndSessionWithHint(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		parameters []string
		post       bool
		after      time.Duration
		location   string
	}{
		"with state": {[]string{"post_logout_redirect_uri", loggedOutURI, "state", "a&b"}, false, 0, loggedOutURI + "&state=a%26b"},
		"no state":   {[]string{"post_logout_redirect_uri", loggedOutURI}, false, 0, loggedOutURI},
		"app":        {[]string{"post_logout_redirect_uri", "com.example.app:/bye", "state", "s"}, false, 0, "com.example.app:/bye?state=s"},
		"no URI":     {nil, false, 0, "/logout"},
		"no URI, but state": {[]string{"state", "s", "ui_locales", "de fr", "logout_hint", "john", "client_id", openIDApp},
			false, 0, "/logout"},
		"by POST":         {[]string{"post_logout_redirect_uri", loggedOutURI}, true, 0, loggedOutURI},
		"expired":         {[]string{"post_logout_redirect_uri", loggedOutURI}, false, 2 * time.Hour, loggedOutURI},
		"empty client_id": {[]string{"client_id", "", "post_logout_redirect_uri", ""}, false, 0, "/logout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLogoutSite(t)
			cookie, other := s.sessionCookie(), s.sessionCookie()
			tokens := s.logInToApp(cookie)
			elsewhere := s.logInToApp(other)
			s.wait(tt.after)
			parameters := append([]string{"id_token_hint", s.idTokenOf(tokens)}, tt.parameters...)
			if !tt.post {
				s.expectLoggedOut(name, s.endSession(cookie, parameters...), cookie, tt.location)
			} else {
				form := url.Values{}
				for i := 0; i < len(parameters); i += 2 {
					form.Set(parameters[i], parameters[i+1])
				}
				r := pageForm("/end_session", form) // a cross-site form comes without the cookie
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				sent := s.serve(r)
				next, ok := strings.CutPrefix(sent.header.Get("Location"), "/end_session?")
				if !ok || sent.status != http.StatusSeeOther || !s.loggedIn(cookie) {
					t.Fatalf("POST: %d to %q", sent.status, sent.header.Get("Location"))
				}
				s.expectLoggedOut(name, s.endSessionByQuery(cookie, next), cookie, tt.location)
			}
			if s.active(tokens) || !s.loggedIn(other) || (tt.after == 0 && !s.active(elsewhere)) {
				t.Error("the logins of this browser go on, or those of another browser have ended")
			}
		})
	}
}

// Without a proof, the user is asked. Only a form of our own page logs out.
func TestEndSessionAsks(t *testing.T) {
	t.Parallel()
	s := newLogoutSite(t)
	cookie, other := s.sessionCookie(), s.sessionCookie()
	tokens, elsewhere := s.logInToApp(cookie), s.idTokenOf(s.logInToApp(other))
	back := []string{"client_id", openIDApp, "post_logout_redirect_uri", loggedOutURI, "state", "st"}
	s.expectAsked("no parameters", s.endSession(cookie), cookie)
	s.expectAsked("a hint of another session", s.endSession(cookie, "id_token_hint", elsewhere), cookie)
	s.expectAsked("a hint of no session", s.endSession(cookie, "id_token_hint", s.signedHint(nil)), cookie)
	asked := s.endSession(cookie, back...)
	s.expectAsked("client_id", asked, cookie)
	if policy := asked.header.Get("Content-Security-Policy"); !strings.Contains(asked.text, "OpenID App") ||
		!strings.Contains(asked.text, "John Doe") || !strings.HasSuffix(policy, "form-action 'self' https:") {
		t.Errorf("policy %q, page %s", policy, asked.text)
	}
	query := url.Values{"client_id": {openIDApp}, "post_logout_redirect_uri": {loggedOutURI}, "state": {"st"}}.Encode()
	answerWith := func(changes map[string]string) *http.Request {
		form := url.Values{"continue": {query}, "user": {s.userID(john)}, "decision": {"end"}}
		for name, value := range changes {
			form.Set(name, value)
		}
		return withCookie(pageForm("/end_session/confirm", form), cookie)
	}
	foreign := answerWith(nil)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := s.serve(foreign); got.status != http.StatusForbidden || !s.loggedIn(cookie) {
		t.Errorf("a form of another site: %d", got.status)
	}
	s.expectAsked("another user", s.serve(answerWith(map[string]string{"user": "usr_other"})), cookie)
	s.expectAsked("no decision", s.serve(answerWith(map[string]string{"decision": ""})), cookie)
	stay := s.serve(answerWith(map[string]string{"decision": "stay"}))
	if stay.status != http.StatusOK || !strings.Contains(stay.text, "You are still logged in") || !s.loggedIn(cookie) {
		t.Errorf("stay: %d %s", stay.status, stay.text)
	}
	if got := s.serve(answerWith(map[string]string{"continue": query + "&post_logout_redirect_uri=https://evil.example"})); got.status != http.StatusBadRequest ||
		!s.loggedIn(cookie) {
		t.Errorf("a changed request: %d to %s", got.status, got.header.Get("Location"))
	}
	s.expectLoggedOut("confirmed", s.serve(answerWith(nil)), cookie, loggedOutURI+"&state=st")
	if s.active(tokens) {
		t.Error("the login at the app goes on")
	}
	s.expectLoggedOut("confirmed twice", s.serve(answerWith(nil)), cookie, loggedOutURI+"&state=st")
	want := "event=logout user=" + s.userID(john) + " apps_too=true client=" + openIDApp
	if log := s.log.String(); !strings.Contains(log, want) {
		t.Errorf("the log has no logout:\n%s", log)
	}
}

// A logout without a session works: the browser is sent on.
func TestEndSessionWithoutSession(t *testing.T) {
	t.Parallel()
	s := newLogoutSite(t)
	for name, cookie := range map[string]string{"no cookie": "", "an unknown cookie": "__Host-hallpass=unknown"} {
		s.expectLoggedOut(name, s.endSession(cookie), cookie, "/logout")
		got := s.endSession(cookie, "client_id", openIDApp, "post_logout_redirect_uri", loggedOutURI, "state", "st")
		s.expectLoggedOut(name, got, cookie, loggedOutURI+"&state=st")
	}
	got := s.endSession("", "id_token_hint", s.signedHint(nil), "post_logout_redirect_uri", loggedOutURI)
	s.expectLoggedOut("a hint", got, "", loggedOutURI)
}

// signedHint returns an ID token with other claims or headers than usual; nil removes one.
func (s *site) signedHint(changes map[string]any) string {
	s.t.Helper()
	key, err := s.ring.IDTokenSigner(keyring.RS256, s.clock())
	s.must(err)
	claims := jwt.MapClaims{"iss": issuer, "sub": s.userID(john), "aud": openIDApp, "exp": s.clock().Unix()}
	maps.Copy(claims, changes)
	typ := claims["typ"]
	delete(claims, "typ")
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = key.ID
	if typ != nil {
		t.Header["typ"] = typ
	}
	text, err := t.SignedString(key.SigningKey())
	s.must(err)
	return text
}

// An invalid request shows a page. It logs nobody out and sends the browser nowhere (OpenID Connect RP-Initiated
// Logout 1.0 section 4).
func TestEndSessionRefusals(t *testing.T) {
	t.Parallel()
	s := newLogoutSite(t)
	cookie := s.sessionCookie()
	mine := s.idTokenOf(s.logInToApp(cookie))
	jane, err := account.New("jane", "Jane", "hash", s.clock())
	s.must(err)
	s.must(s.data.CreateUser(t.Context(), jane))
	const to, hint = "post_logout_redirect_uri", "id_token_hint"
	for name, parameters := range map[string][]string{
		"unknown client":                     {"client_id", "nobody"},
		"unknown client of the hint":         {hint, s.signedHint(map[string]any{"aud": "nobody"})},
		"another client than the hint":       {hint, mine, "client_id", codeApp},
		"URI without client":                 {to, loggedOutURI},
		"URI of another client":              {to, loggedOutURI, "client_id", codeApp},
		"URI not registered":                 {to, "https://evil.example/", hint, mine},
		"URI with more query":                {to, loggedOutURI + "&y=2", hint, mine},
		"URI without its query":              {to, "https://app.example/bye", hint, mine},
		"URI in another case":                {to, "https://APP.example/bye?x=1", hint, mine},
		"URI with a fragment":                {to, loggedOutURI + "#f", hint, mine},
		"redirect URI of a login":            {to, "https://app.example/back", hint, mine},
		"another port of a loopback address": {to, "http://127.0.0.1:8400/bye", hint, mine},
		"two URIs in one":                    {to, loggedOutURI + " com.example.app:/bye", hint, mine},
		"javascript":                         {to, "javascript:alert(1)", hint, mine},
		"no token":                           {hint, "x"},
		"alg none":                           {hint, unsigned(mine)},
		"another signature":                  {hint, mine[:len(mine)-8] + "AAAAAAAA"},
		"another issuer":                     {hint, s.signedHint(map[string]any{"iss": "https://evil.example"})},
		"no subject":                         {hint, s.signedHint(map[string]any{"sub": nil})},
		"no client in the hint":              {hint, s.signedHint(map[string]any{"aud": nil}), to, loggedOutURI},
		"an access token's type":             {hint, s.signedHint(map[string]any{"typ": "at+jwt"})},
		"a logout token":                     {hint, s.signedHint(map[string]any{"typ": "logout+jwt"})},
		"access token":                       {hint, s.post(login()).body["access_token"].(string)},
		"hint too long":                      {hint, strings.Repeat("x", 9000)},
		"state too long":                     {hint, mine, "state", strings.Repeat("x", 9000)},
		"NUL":                                {hint, mine, "state", "\x00"},
		"no UTF-8":                           {hint, mine, "state", "\xff"},
		"hint twice":                         {hint, mine, hint, mine},
		"URI twice":                          {hint, mine, to, loggedOutURI, to, "https://evil.example/"},
		"client twice":                       {hint, mine, "client_id", openIDApp, "client_id", openIDApp},
		"state twice":                        {hint, mine, "state", "a", "state", "b"},
	} {
		got := s.endSession(cookie, parameters...)
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" || got.header.Get("Set-Cookie") != "" ||
			!strings.Contains(got.text, "This link is broken") || !strings.Contains(got.text, `<a href="/logout">`) ||
			strings.Contains(got.text, "evil.example") || !s.loggedIn(cookie) {
			t.Errorf("%s: %d to %q: %s", name, got.status, got.header.Get("Location"), got.text)
		}
		if got := s.endSession("", parameters...); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s without a session: %d to %q", name, got.status, got.header.Get("Location"))
		}
	}
	got := s.endSessionByQuery(cookie, "id_token_hint=%zz")
	if got.status != http.StatusBadRequest || !s.loggedIn(cookie) {
		t.Errorf("a malformed query: %d", got.status)
	}
	for name, r := range map[string]*http.Request{
		"JSON":            httptest.NewRequest(http.MethodPost, issuer+"/end_session", strings.NewReader(`{}`)),
		"query and body":  pageForm("/end_session?state=x", url.Values{hint: {mine}}),
		"malformed form":  pageForm("/end_session", nil),
		"form too long":   pageForm("/end_session", url.Values{hint: {strings.Repeat("x", 9000)}}),
		"body too large":  pageForm("/end_session", url.Values{hint: {strings.Repeat("x", 20000)}}),
		"confirm by JSON": httptest.NewRequest(http.MethodPost, issuer+"/end_session/confirm", strings.NewReader(`{}`)),
	} {
		if name == "malformed form" {
			r = httptest.NewRequest(http.MethodPost, issuer+"/end_session", strings.NewReader("state=%zz"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		got := s.serve(withCookie(r, cookie))
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" || !s.loggedIn(cookie) {
			t.Errorf("%s: %d to %q", name, got.status, got.header.Get("Location"))
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		got := s.serve(httptest.NewRequest(method, issuer+"/end_session", nil))
		if got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	got = s.serve(httptest.NewRequest(http.MethodGet, issuer+"/end_session/confirm", nil))
	if got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET of the form's target: %d", got.status)
	}
}

// OpenID Connect Discovery: the members are there if and only if OpenID Connect is on.
func TestLogoutInMetadata(t *testing.T) {
	t.Parallel()
	want := map[string]any{
		"end_session_endpoint":                 issuer + "/end_session",
		"backchannel_logout_supported":         true,
		"backchannel_logout_session_supported": true,
	}
	for on, s := range map[bool]*site{true: newOpenIDSite(t, keyring.RS256), false: newSite(t)} {
		var document map[string]any
		s.metadata().decode(&document)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got, ok := document[name]; ok != on || (on && got != want[name]) {
				t.Errorf("OpenID Connect %v: %s is %v", on, name, got)
			}
		}
	}
}

// The database refuses what no session can have.
func TestEndSessionWhenTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	s := newLogoutSite(t)
	cookie := s.sessionCookie()
	mine := s.idTokenOf(s.logInToApp(cookie))
	s.must(s.data.Close())
	got := s.endSession(cookie, "id_token_hint", mine)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Location") != "" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
	_, value, _ := strings.Cut(cookie, "=")
	if strings.Contains(s.log.String(), secret.Digest(value)) {
		t.Error("the log has the digest of the session")
	}
}
