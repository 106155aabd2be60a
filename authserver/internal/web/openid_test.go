package web_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// openIDApp is a client that logs users in. Its registered scope says nothing about OpenID Connect.
const openIDApp = "openid-app"

// verifier is a code verifier, and its challenge is that of openIDRequest.
var verifier = strings.Repeat("v", 43)

// addOpenIDApp registers openIDApp and tells more about john.
func (s *site) addOpenIDApp(change ...func(*client.Client)) {
	s.t.Helper()
	c := client.Client{
		ID: openIDApp, Name: "OpenID App", FirstParty: true, CreatedAt: s.clock(),
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Scope:  oauth.Scope{"items:read"}, RedirectURIs: []string{"https://app.example/back"},
	}
	for _, f := range change {
		f(&c)
	}
	s.must(s.data.CreateClient(s.t.Context(), c))
	s.addCodeApp() // whose login page sessionCookie uses
	_, err := s.data.UpdateUser(s.t.Context(), john, s.clock(), func(u account.User) (account.User, error) {
		u.Email, u.EmailVerified, u.Groups = "john@example.com", true, []string{"admins", "staff"}
		return u, nil
	})
	s.must(err)
}

// openIDQuery returns the query of an authorization request of openIDApp, with changes.
func openIDQuery(changes ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	base := []string{"client_id", openIDApp, "scope", "openid", "nonce", "n1",
		"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:])}
	return codeRequest(append(base, changes...)...)
}

func openIDRequest(changes ...string) *http.Request {
	return httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+openIDQuery(changes...).Encode(), nil)
}

// response returns what the browser takes back to the client.
func (s *site) response(what string, got answer) url.Values {
	s.t.Helper()
	to, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status != http.StatusSeeOther || to.Host != "app.example" {
		s.t.Fatalf("%s: %d to %s %s", what, got.status, got.header.Get("Location"), got.text)
	}
	return to.Query()
}

// expectError checks the error that the browser takes back to the client, with state and iss (RFC 9207).
func (s *site) expectError(what string, got answer, code string) string {
	s.t.Helper()
	r := s.response(what, got)
	if r.Get("error") != code || r.Get("state") != "st" || r.Get("iss") != issuer || r.Has("code") {
		s.t.Errorf("%s: %v, want %s", what, r, code)
	}
	return r.Get("error_description")
}

// expectLogin checks that the login page is shown.
func (s *site) expectLogin(what string, got answer) {
	s.t.Helper()
	if got.status != http.StatusOK || !strings.Contains(got.text, `name="password"`) {
		s.t.Errorf("%s: %d to %s, want the login page", what, got.status, got.header.Get("Location"))
	}
}

// redeem redeems the code of an authorization response.
func (s *site) redeem(what string, got answer) answer {
	s.t.Helper()
	return s.post(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {openIDApp}, "code_verifier": {verifier},
		"code": {s.response(what, got).Get("code")},
	}.Encode())
}

// idToken verifies the ID token of a token response with the published keys and returns its claims.
func (s *site) idToken(what string, a answer) map[string]any {
	s.t.Helper()
	raw, _ := a.body["id_token"].(string)
	if raw == "" {
		s.t.Fatalf("%s: no ID token in %s", what, a.text)
	}
	s.hide(raw)
	ring, err := keyring.ParsePublic([]byte(s.get("/jwks.json").text))
	s.must(err)
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		key, _ := ring.Verifier(t.Header["kid"].(string), s.clock())
		return key.VerificationKey(), nil
	}, jwt.WithTimeFunc(s.clock), jwt.WithIssuer(issuer), jwt.WithValidMethods(keyring.IDTokenAlgorithms))
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if parsed.Header["typ"] != "JWT" {
		s.t.Errorf("%s: header %v", what, parsed.Header)
	}
	return claims
}

// OpenID Connect Core sections 2, 3.1.3.3 and 12.2, for each algorithm.
func TestIDToken(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.IDTokenAlgorithms...)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	loggedInAt := s.clock().Unix()
	s.wait(time.Minute)
	sids := map[any]bool{}
	for _, algorithm := range keyring.IDTokenAlgorithms {
		_, err := s.data.UpdateClient(t.Context(), openIDApp, s.clock(), func(c client.Client) (client.Client, error) {
			c.IDTokenAlgorithm = algorithm
			return c, nil
		})
		s.must(err)
		s.wait(issuing.CacheTime)
		got := s.redeem(algorithm, s.serve(withCookie(openIDRequest(), cookie)))
		claims := s.idToken(algorithm, got)
		access, _ := got.body["access_token"].(string)
		sids[claims["sid"]] = true
		want := map[string]any{
			"iss": issuer, "sub": s.userID(john), "aud": openIDApp, "nonce": "n1", "acr": "1", "amr": []any{"pwd"},
			"auth_time": float64(loggedInAt), "iat": float64(s.clock().Unix()), "at_hash": hashOf(algorithm, access),
			"exp": float64(s.clock().Add(lifetime).Unix()), "sid": claims["sid"],
		}
		if diff := cmp.Diff(want, claims); diff != "" || got.body["scope"] != "openid" {
			t.Errorf("%s: scope %v, claims (-want +got):\n%s", algorithm, got.body["scope"], diff)
		}

		s.wait(time.Minute)
		refresh, _ := got.body["refresh_token"].(string)
		again := s.post(url.Values{
			"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refresh},
		}.Encode())
		fresh := s.idToken(algorithm, again)
		access, _ = again.body["access_token"].(string)
		delete(want, "nonce")
		want["iat"], want["exp"] = float64(s.clock().Unix()), float64(s.clock().Add(lifetime).Unix())
		want["at_hash"] = hashOf(algorithm, access)
		if diff := cmp.Diff(want, fresh); diff != "" {
			t.Errorf("%s, refreshed (-want +got):\n%s", algorithm, diff)
		}
	}
	_, value, _ := strings.Cut(cookie, "=")
	sum := sha256.Sum256([]byte(value))
	if len(sids) != 1 || sids[nil] || sids[base64.RawURLEncoding.EncodeToString(sum[:])] {
		t.Errorf("session ids %v, want one that is not the digest of the cookie", sids)
	}
}

// withDefault returns text, or fallback if it is empty.
func withDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// hashOf is the at_hash of an access token (OpenID Connect Core section 3.1.3.6).
func hashOf(algorithm, access string) string {
	if algorithm == keyring.EdDSA {
		sum := sha512.Sum512([]byte(access))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Neither token passes for the other, and neither does a token that is signed with the other's key.
func TestTokensAreNotConfused(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	got := s.redeem("login", s.serve(withCookie(openIDRequest(), cookie)))
	id, _ := got.body["id_token"].(string)
	access, _ := got.body["access_token"].(string)
	if _, err := s.verifier.Verify(t.Context(), id); err == nil {
		t.Error("an API accepts the ID token")
	}
	if got := s.get("/userinfo", header("Authorization", "Bearer "+id)); got.status != http.StatusUnauthorized {
		t.Errorf("userinfo with the ID token: %d %s", got.status, got.text)
	}
	key, err := s.ring.IDTokenSigner(keyring.RS256, s.clock())
	s.must(err)
	claims := jwt.MapClaims{}
	_, _, err = jwt.NewParser().ParseUnverified(access, claims)
	s.must(err)
	for _, aud := range []any{claims["aud"], openIDApp, keyring.IDTokenAudience(keyring.RS256)} {
		claims["aud"] = aud
		forged := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		forged.Header["typ"], forged.Header["kid"] = "at+jwt", key.ID
		raw, err := forged.SignedString(key.SigningKey())
		s.must(err)
		if _, err := s.verifier.Verify(t.Context(), raw); err == nil {
			t.Errorf("aud %v: an API accepts an access token that is signed with the key of ID tokens", aud)
		}
	}
	for name, hint := range map[string]string{
		"an access token": access, "garbage": "a.b.c", "an unsigned token": unsigned(id), "a long text": strings.Repeat("x", 3000),
	} {
		got := s.serve(withCookie(openIDRequest("id_token_hint", hint, "state", "st"), cookie))
		if says := s.expectError(name, got, "invalid_request"); !strings.Contains(says, "id_token_hint") {
			t.Errorf("%s: %s", name, says)
		}
	}
}

// unsigned returns a token with the algorithm none.
func unsigned(raw string) string {
	parts := strings.Split(raw, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
}

// OpenID Connect Core section 3.1.2.1: who must log in, and what a client is told that must not show a page.
func TestPromptAndMaxAge(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	jane, err := account.New("jane", "Jane", "hash", s.clock())
	s.must(err)
	s.must(s.data.CreateUser(t.Context(), jane))
	s.expectError("no session", s.serve(openIDRequest("prompt", "none", "state", "st")), "login_required")
	s.expectLogin("no session", s.serve(openIDRequest()))

	cookie := s.sessionCookie()
	token := s.redeem("hint", s.serve(withCookie(openIDRequest(), cookie)))
	mine, _ := token.body["id_token"].(string)
	hers := s.hintFor(jane.ID)
	const logIn, code = "log in", "code"
	for _, tt := range []struct {
		name   string
		change []string
		want   string // logIn, code or an error
	}{
		{"a session", nil, code},
		{"prompt=none", []string{"prompt", "none"}, code},
		{"prompt=login", []string{"prompt", "login"}, logIn},
		{"prompt=select_account", []string{"prompt", "select_account"}, logIn},
		{"an unknown prompt", []string{"prompt", "create"}, code},
		{"prompt=none and login", []string{"prompt", "none login"}, "invalid_request"},
		{"max_age=0", []string{"max_age", "0"}, logIn},
		{"max_age=0 and prompt=none", []string{"max_age", "0", "prompt", "none"}, "login_required"},
		{"max_age=59", []string{"max_age", "59"}, logIn},
		{"max_age=60", []string{"max_age", "60"}, code},
		{"max_age=-1", []string{"max_age", "-1"}, "invalid_request"},
		{"own hint", []string{"id_token_hint", mine, "prompt", "none"}, code},
		{"her hint", []string{"id_token_hint", hers}, logIn},
		{"her hint and prompt=none", []string{"id_token_hint", hers, "prompt", "none"}, "login_required"},
		{"her sub", []string{"claims", `{"id_token":{"sub":{"value":"` + jane.ID + `"}}}`, "prompt", "none"}, "login_required"},
		{"own sub", []string{"claims", `{"id_token":{"sub":{"value":"` + s.userID(john) + `"}}}`, "prompt", "none"}, code},
		{"two subs", []string{"claims", `{"id_token":{"sub":{"value":"x"}}}`, "id_token_hint", mine}, "invalid_request"},
		{"two subs of others", []string{"claims", `{"id_token":{"sub":{"value":"x"}}}`, "id_token_hint", hers}, "invalid_request"},
		{"request", []string{"request", "x"}, "request_not_supported"},
		{"request_uri", []string{"request_uri", "https://app.example/r"}, "request_uri_not_supported"},
		{"accepted parameters", []string{"display", "popup", "ui_locales", "de fr", "acr_values", "2 1"}, code},
		{"long nonce", []string{"nonce", strings.Repeat("n", 513)}, "invalid_request"},
		{"longest nonce", []string{"nonce", strings.Repeat("n", 512)}, code},
		{"claims that are no object", []string{"claims", `[]`}, "invalid_request"},
		{"claims with a wrong type", []string{"claims", `{"userinfo":{"email":true}}`}, "invalid_request"},
		{"unknown claims", []string{"claims", `{"userinfo":{"phone":{"essential":true}},"verified":{}}`}, code},
		{"an unknown login", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`},
			"unmet_authentication_requirements"},
		{"a stronger login", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["2"]}}}`}, logIn},
		{"a stronger login by acr_values", []string{"acr_values", "gold 2"}, logIn},
		{"a stronger login and prompt=none", []string{"acr_values", "2", "prompt", "none"}, "login_required"},
		{"unknown logins", []string{"acr_values", "gold silver"}, code},
		{"a login like this", []string{"claims", `{"id_token":{"acr":{"essential":true,"values":["2","1"]}}}`}, code},
		{"a stronger login if possible", []string{"claims", `{"id_token":{"acr":{"value":"2"}}}`}, logIn},
	} {
		if tt.name == "max_age=59" {
			s.wait(time.Minute)
		}
		got := s.serve(withCookie(openIDRequest(append(tt.change, "state", "st")...), cookie))
		switch tt.want {
		case logIn:
			s.expectLogin(tt.name, got)
		case code:
			if r := s.response(tt.name, got); !r.Has("code") {
				t.Errorf("%s: %v, want a code", tt.name, r)
			}
		default:
			s.expectError(tt.name, got, tt.want)
		}
	}

	// Another user than that of the hint is not logged in, and the client is told.
	wrong := s.serve(pageForm("/login", url.Values{"username": {john}, "password": {password},
		"continue": {openIDQuery("id_token_hint", hers, "state", "st").Encode()}}))
	s.expectError("another user", wrong, "login_required")
	if wrong.header.Get("Set-Cookie") != "" {
		t.Error("another user is logged in")
	}
	right := s.serve(pageForm("/login", url.Values{"username": {john}, "password": {password},
		"continue": {openIDQuery("id_token_hint", mine, "max_age", "0").Encode()}}))
	next := right.header.Get("Location")
	if !strings.HasPrefix(next, "/authorize?") || !strings.HasSuffix(next, "&max_age=60") ||
		right.header.Get("Set-Cookie") == "" {
		t.Errorf("the user of the hint logs in and is sent to %s", next)
	}
}

// hintFor returns an ID token for a user that has expired.
func (s *site) hintFor(sub string) string {
	s.t.Helper()
	key, err := s.ring.IDTokenSigner(keyring.RS256, s.clock())
	s.must(err)
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": issuer, "sub": sub, "aud": "other", "exp": 1})
	t.Header["kid"] = key.ID
	raw, err := t.SignedString(key.SigningKey())
	s.must(err)
	return raw
}

// Without a key for ID tokens OpenID Connect is off, and the client is told which setting is missing.
func TestOpenIDConnectIsOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addOpenIDApp(func(c *client.Client) { c.Scope = oauth.Scope{"openid", "items:read"} })
	s.must(s.data.DescribeScope(t.Context(), resource.ScopeDescription{Scope: "openid", Text: "Log in"}, s.clock()))
	cookie := s.sessionCookie()
	got := s.serve(withCookie(openIDRequest("state", "st"), cookie))
	if says := s.expectError("openid", got, "invalid_scope"); !strings.Contains(says, "HALLPASS_KEYS_FILE") {
		t.Errorf("openid: %s, want the setting", says)
	}
	token := s.redeem("no scope", s.serve(withCookie(openIDRequest("scope", ""), cookie)))
	if token.body["scope"] != "items:read" || token.body["id_token"] != nil {
		t.Errorf("without a scope: %s", token.text)
	}
	s.post(login("scope", "openid")).expect("password",
		http.StatusBadRequest, oauth.CodeInvalidScope, "HALLPASS_KEYS_FILE")
	var document map[string]any
	s.metadata().decode(&document)
	for _, name := range []string{"jwks_uri", "subject_types_supported", "id_token_signing_alg_values_supported"} {
		if document[name] != nil {
			t.Errorf("the metadata has %s: %v", name, document[name])
		}
	}
	if scopes := document["scopes_supported"].([]any); slices.Contains(scopes, any("openid")) {
		t.Errorf("scopes %v", scopes)
	}

	// The key of another algorithm is not enough.
	es := newOpenIDSite(t, keyring.ES256)
	es.addOpenIDApp()
	got = es.serve(withCookie(openIDRequest("state", "st"), es.sessionCookie()))
	if says := es.expectError("RS256", got, "invalid_scope"); !strings.Contains(says, "--id-tokens --algorithm RS256") {
		t.Errorf("without an RS256 key: %s", says)
	}
}

// OpenID Connect Discovery section 3.
func TestOpenIDMetadata(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256, keyring.EdDSA)
	got := s.get("/.well-known/openid-configuration")
	var document map[string]any
	got.decode(&document)
	for name, want := range map[string]any{
		"issuer": issuer, "jwks_uri": issuer + "/jwks.json", "userinfo_endpoint": issuer + "/userinfo",
		"scopes_supported":                      []any{"openid", "profile", "email", "groups"},
		"subject_types_supported":               []any{"public"},
		"id_token_signing_alg_values_supported": []any{"RS256", "EdDSA"},
		"response_types_supported":              []any{"code"},
		"acr_values_supported":                  []any{"1", "2"},
		"claims_parameter_supported":            true,
		"request_parameter_supported":           false,
		"request_uri_parameter_supported":       false,
		"prompt_values_supported":               []any{"none", "login", "consent", "select_account"},
	} {
		if diff := cmp.Diff(want, document[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if s.metadata().text != got.text {
		t.Error("the metadata of RFC 8414 differs")
	}
}

// A code that a server of the previous version has stored gives no ID token: it does not say when the user has
// logged in. The login goes on without.
func TestCodeOfThePreviousVersion(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp(func(c *client.Client) { c.Scope = oauth.Scope{"openid", "items:read"} })
	sum := sha256.Sum256([]byte(verifier))
	const code = "hpc_previous"
	digest := sha256.Sum256([]byte(code))
	value := s.sessionCookie()
	_, value, _ = strings.Cut(value, "=")
	session := sha256.Sum256([]byte(value))
	s.must(s.data.CreateCode(t.Context(), grant.Code{
		Digest: base64.RawURLEncoding.EncodeToString(digest[:]), ClientID: openIDApp, UserID: s.userID(john),
		Session: base64.RawURLEncoding.EncodeToString(session[:]), Audience: audience,
		RedirectURI: "https://app.example/back", Scope: oauth.Scope{"openid", "items:read"},
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
		CreatedAt: s.clock(), ExpiresAt: s.clock().Add(grant.CodeLifetime),
	}))
	got := s.post(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {openIDApp}, "code": {code}, "code_verifier": {verifier},
	}.Encode())
	if got.status != http.StatusOK || got.body["id_token"] != nil {
		t.Errorf("%d %s, want tokens without an ID token", got.status, got.text)
	}
	refresh, _ := got.body["refresh_token"].(string)
	again := s.post(url.Values{
		"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refresh},
	}.Encode())
	if again.status != http.StatusOK || again.body["id_token"] != nil {
		t.Errorf("refreshed: %d %s", again.status, again.text)
	}
}

// OpenID Connect Core section 3.1.2.1: the request may be a form, of any site.
func TestAuthorizationByPost(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	query := openIDQuery("state", "a b").Encode()
	post := func(body, contentType string) answer {
		r := httptest.NewRequest(http.MethodPost, issuer+"/authorize", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://app.example")
		return s.serve(r)
	}
	const form = "application/x-www-form-urlencoded"
	if got := post(query, form); got.status != http.StatusSeeOther || got.header.Get("Location") != "/authorize?"+query {
		t.Errorf("%d to %s", got.status, got.header.Get("Location"))
	}
	for name, got := range map[string]answer{
		"not a form":    post(query, "text/plain"),
		"malformed":     post("a=%zz", form),
		"long":          post(query+strings.Repeat("&x=y", 2000), form),
		"without limit": post(strings.Repeat("x", 1<<20), form),
	} {
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%s: %d to %s", name, got.status, got.header.Get("Location"))
		}
	}
}

// The document is what it says (OpenID Connect Discovery section 3): valid JSON with no member twice.
func TestOpenIDMetadataHasEachMemberOnce(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	decoder := json.NewDecoder(strings.NewReader(s.metadata().text))
	seen, depth := map[string]bool{}, 0
	for key := true; ; {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			key = depth == 1
		case string:
			if depth == 1 && key {
				if seen[v] {
					t.Errorf("%s is there twice", v)
				}
				seen[v] = true
			}
			key = depth != 1 || !key
		default:
			key = true
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d members", len(seen))
	}
}
