package web_test

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// conformancePage lists the modules of the conformance plans.
const conformancePage = "../../../deploy/docs/conformance.md"

// secondSuiteClient is the other client of the suite, which may refresh too.
const secondSuiteClient = "suite-second"

// conformance is a site whose client is one of the conformance suite: it is confidential, and may leave PKCE out.
type conformance struct {
	*site
	secret string
	cookie string // of the browser in which john is logged in
}

// A test for each module of the OpenID Foundation's conformance plans that applies, named after it.
var conformanceModules = map[string]func(*conformance){
	"oidcc-server":                                              (*conformance).server,
	"oidcc-server-client-secret-post":                           (*conformance).clientSecretPost,
	"oidcc-response-type-missing":                               (*conformance).responseTypeMissing,
	"oidcc-idtoken-signature":                                   (*conformance).idTokenSignature,
	"oidcc-userinfo-get":                                        (*conformance).userinfoGet,
	"oidcc-userinfo-post-header":                                (*conformance).userinfoPostHeader,
	"oidcc-userinfo-post-body":                                  (*conformance).userinfoPostBody,
	"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": (*conformance).withoutNonce,
	"oidcc-scope-profile":                                       (*conformance).scopeProfile,
	"oidcc-scope-email":                                         (*conformance).scopeEmail,
	"oidcc-alternate-happy-flow":                                (*conformance).otherOrder,
	"oidcc-display-page":                                        succeedsWith("display", "page"),
	"oidcc-display-popup":                                       succeedsWith("display", "popup"),
	"oidcc-prompt-login":                                        (*conformance).promptLogin,
	"oidcc-prompt-none-not-logged-in":                           (*conformance).promptNoneNotLoggedIn,
	"oidcc-prompt-none-logged-in":                               (*conformance).promptNoneLoggedIn,
	"oidcc-max-age-1":                                           (*conformance).maxAge1,
	"oidcc-max-age-10000":                                       (*conformance).maxAge10000,
	"oidcc-ensure-request-with-unknown-parameter-succeeds":      succeedsWith("extra", "foobar"),
	"oidcc-id-token-hint":                                       (*conformance).idTokenHint,
	"oidcc-login-hint":                                          (*conformance).loginHint,
	"oidcc-ui-locales":                                          succeedsWith("ui_locales", "se"),
	"oidcc-claims-locales":                                      succeedsWith("claims_locales", "se"),
	"oidcc-ensure-request-with-acr-values-succeeds":             (*conformance).acrValues,
	"oidcc-codereuse":                                           (*conformance).codeReuse,
	"oidcc-codereuse-30seconds":                                 (*conformance).codeReuseLater,
	"oidcc-ensure-registered-redirect-uri":                      (*conformance).registeredRedirectURI,
	"oidcc-ensure-post-request-succeeds":                        (*conformance).postRequest,
	"oidcc-claims-essential":                                    (*conformance).claimsEssential,
	"oidcc-ensure-request-object-with-redirect-uri":             (*conformance).requestObjectWithRedirectURI,
	"oidcc-refresh-token":                                       (*conformance).refreshToken,
	"oidcc-ensure-request-with-valid-pkce-succeeds":             (*conformance).validPKCE,
	"oidcc-discovery-endpoint-verification":                     (*conformance).discovery,
	"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported": isRefusedWith(
		"request_uri_not_supported", "request_uri", "https://app.example/request.jwt"),
	"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": isRefusedWith(
		"request_not_supported", "request", "eyJhbGciOiJub25lIn0.e30."),

	"oidcc-rp-initiated-logout-discovery-endpoint-verification":         (*conformance).discovery,
	"oidcc-rp-initiated-logout":                                         (*conformance).logout,
	"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri":            (*conformance).logoutBadURI,
	"oidcc-rp-initiated-logout-modified-id-token-hint":                  (*conformance).logoutModifiedHint,
	"oidcc-rp-initiated-logout-no-id-token-hint":                        (*conformance).logoutNoHint,
	"oidcc-rp-initiated-logout-bad-id-token-hint":                       (*conformance).logoutBadHint,
	"oidcc-rp-initiated-logout-no-params":                               (*conformance).logoutNoParameters,
	"oidcc-rp-initiated-logout-no-post-logout-redirect-uri":             (*conformance).logoutNoURI,
	"oidcc-rp-initiated-logout-no-state":                                (*conformance).logoutNoState,
	"oidcc-rp-initiated-logout-only-state":                              (*conformance).logoutOnlyState,
	"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": (*conformance).logoutQueryAdded,
	"oidcc-backchannel-logout-discovery-endpoint-verification":          (*conformance).backchannelDiscovery,
	"oidcc-backchannel-rp-initiated-logout":                             (*conformance).backchannelLogout,
}

func TestConformance(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256, keyring.ES256)
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(secret)
	s.addOpenIDApp(func(c *client.Client) {
		c.SecretDigest, c.WithoutPKCE, c.PostLogoutRedirectURIs = digest, true, []string{loggedOutURI}
	})
	s.addClient(secondSuiteClient, "secret of the second client", oauth.GrantAuthorizationCode, oauth.GrantRefreshToken)
	c := &conformance{site: s, secret: secret}
	for name, test := range conformanceModules {
		t.Run(name, func(t *testing.T) {
			s.t = t
			c.cookie = s.sessionCookie()
			s.wait(5 * time.Second)
			test(c)
		})
	}
	s.t = t
}

// The page has each module that applies, and no other one as tested.
func TestConformancePage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(conformancePage)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	tested := regexp.MustCompile("(?m)^\\| `(oidcc-[a-z0-9-]+)` \\| yes")
	for _, row := range tested.FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(conformanceModules)), listed); diff != "" {
		t.Errorf("modules (-tests +page):\n%s", diff)
	}
}

// request returns the suite's authorization request, which has no PKCE, with changes; a change to "-" removes a
// parameter.
func (c *conformance) request(changes ...string) url.Values {
	query := url.Values{
		"response_type": {"code"}, "client_id": {openIDApp}, "redirect_uri": {"https://app.example/back"},
		"scope": {"openid"}, "state": {"st"}, "nonce": {"n1"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			query.Del(changes[i])
		}
	}
	return query
}

// authorize sends an authorization request in the browser.
func (c *conformance) authorize(query url.Values) answer {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+query.Encode(), nil)
	return c.serve(withCookie(r, c.cookie))
}

// token redeems the code of a response by HTTP Basic, and checks the tokens.
func (c *conformance) token(got answer, more ...string) answer {
	c.t.Helper()
	r := c.response("authorization", got)
	if r.Get("code") == "" || r.Get("state") != "st" || r.Get("iss") != issuer {
		c.t.Fatalf("authorization response %v", r)
	}
	tokens := c.tokenRequest(append(more, "code", r.Get("code"))...)
	c.expectOK("token request", tokens)
	return tokens
}

// tokenRequest sends a token request by HTTP Basic for a code.
func (c *conformance) tokenRequest(parameters ...string) answer {
	c.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {"https://app.example/back"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	return c.post(form.Encode(), basic(openIDApp, c.secret))
}

// login logs john in and returns the tokens.
func (c *conformance) login(changes ...string) answer {
	c.t.Helper()
	return c.token(c.authorize(c.request(changes...)))
}

// logInAgain fills the login page in, follows it to the client, and returns the tokens.
func (c *conformance) logInAgain(query url.Values) answer {
	c.t.Helper()
	c.expectLogin("second request", c.authorize(query))
	got := c.serve(pageForm("/login", url.Values{
		"username": {john}, "password": {password}, "continue": {query.Encode()},
	}))
	c.cookie, _, _ = strings.Cut(got.header.Get("Set-Cookie"), ";")
	next, ok := strings.CutPrefix(got.header.Get("Location"), "/authorize?")
	if !ok {
		c.t.Fatalf("after the login: %d to %s", got.status, got.header.Get("Location"))
	}
	query, err := url.ParseQuery(next)
	c.must(err)
	return c.token(c.authorize(query))
}

// succeedsWith returns a test of a parameter that changes nothing.
func succeedsWith(name, value string) func(*conformance) {
	return func(c *conformance) { c.idToken("login", c.login(name, value)) }
}

// isRefusedWith returns a test of a parameter that is not supported.
func isRefusedWith(code, name, value string) func(*conformance) {
	return func(c *conformance) { c.expectError("request", c.authorize(c.request(name, value)), code) }
}

func (c *conformance) server() {
	tokens := c.login()
	claims := c.idToken("login", tokens)
	want := map[string]any{
		"iss": issuer, "sub": c.userID(john), "aud": openIDApp, "nonce": "n1", "acr": "1", "amr": []any{"pwd"},
		"auth_time": float64(c.clock().Add(-5 * time.Second).Unix()), "iat": float64(c.clock().Unix()),
		"exp": float64(c.clock().Add(lifetime).Unix()), "at_hash": hashOf(keyring.RS256, access(tokens)),
		"sid": claims["sid"],
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		c.t.Errorf("claims that nobody has asked for, or others (-want +got):\n%s", diff)
	}
	kind, _ := tokens.body["token_type"].(string)
	if !strings.EqualFold(kind, "Bearer") || tokens.body["expires_in"] != lifetime.Seconds() {
		c.t.Errorf("token_type %s, expires_in %v", kind, tokens.body["expires_in"])
	}
}

func (c *conformance) clientSecretPost() {
	code := c.response("login", c.authorize(c.request())).Get("code")
	got := c.post(url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {"https://app.example/back"}, "code": {code},
		"client_id": {openIDApp}, "client_secret": {c.secret},
	}.Encode())
	c.idToken("client_secret_post", got)
}

func (c *conformance) responseTypeMissing() {
	c.expectError("request", c.authorize(c.request("response_type", "-")), "invalid_request")
}

func (c *conformance) idTokenSignature() {
	tokens := c.login()
	c.idToken("login", tokens)
	raw, _ := tokens.body["id_token"].(string)
	parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
	c.must(err)
	if parsed.Header["alg"] != "RS256" || parsed.Header["kid"] == nil {
		c.t.Errorf("header %v, want RS256 with a kid", parsed.Header)
	}
}

// claims returns the response of the userinfo endpoint.
func (c *conformance) claims(token string, changes ...change) map[string]any {
	c.t.Helper()
	got := c.get("/userinfo", append(changes, header("Authorization", "Bearer "+token))...)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		c.t.Fatalf("userinfo: %d %s", got.status, got.text)
	}
	var claims map[string]any
	got.decode(&claims)
	if claims["sub"] != c.userID(john) {
		c.t.Errorf("sub %v", claims["sub"])
	}
	return claims
}

func (c *conformance) userinfoGet() { c.claims(access(c.login())) }

func (c *conformance) userinfoPostHeader() {
	c.claims(access(c.login()), func(r *http.Request) { r.Method = http.MethodPost })
}

// The suite accepts that a token in the body is refused (RFC 6750 section 2.2).
func (c *conformance) userinfoPostBody() {
	r := c.site.request(url.Values{"access_token": {access(c.login())}}.Encode())
	r.URL.Path = "/userinfo"
	if got := c.send(r); got.status != http.StatusUnauthorized {
		c.t.Errorf("%d %s", got.status, got.text)
	}
}

func (c *conformance) withoutNonce() {
	if claims := c.idToken("login", c.login("nonce", "-")); claims["nonce"] != nil {
		c.t.Errorf("nonce %v", claims["nonce"])
	}
}

// expectClaims checks the names of the claims of the userinfo endpoint beside sub.
func (c *conformance) expectClaims(claims map[string]any, names ...string) {
	c.t.Helper()
	delete(claims, "sub")
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(claims))); diff != "" {
		c.t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func (c *conformance) scopeProfile() {
	c.expectClaims(c.claims(access(c.login("scope", "openid profile"))), "name", "preferred_username", "updated_at")
}

func (c *conformance) scopeEmail() {
	c.expectClaims(c.claims(access(c.login("scope", "openid email"))), "email", "email_verified")
}

func (c *conformance) otherOrder() {
	query := c.request("scope", "email openid")
	var reversed []string
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(query))) {
		reversed = append(reversed, url.Values{name: query[name]}.Encode())
	}
	r := httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+strings.Join(reversed, "&"), nil)
	tokens := c.token(c.serve(withCookie(r, c.cookie)))
	c.expectClaims(c.claims(access(tokens)), "email", "email_verified")
}

// expectLaterLogin checks that the second login is a later one of the same user.
func (c *conformance) expectLaterLogin(first, second map[string]any) {
	c.t.Helper()
	if first["sub"] != second["sub"] || second["auth_time"].(float64) <= first["auth_time"].(float64) ||
		second["auth_time"] != float64(c.clock().Unix()) {
		c.t.Errorf("first login %v, second %v", first, second)
	}
}

func (c *conformance) promptLogin() {
	first := c.idToken("first", c.login())
	c.wait(time.Second)
	c.expectLaterLogin(first, c.idToken("second", c.logInAgain(c.request("prompt", "login"))))
}

func (c *conformance) maxAge1() {
	first := c.idToken("first", c.login())
	c.wait(2 * time.Second)
	c.expectLaterLogin(first, c.idToken("second", c.logInAgain(c.request("max_age", "1"))))
}

func (c *conformance) maxAge10000() {
	first := c.idToken("first", c.login())
	c.wait(time.Second)
	second := c.idToken("second", c.login("max_age", "10000"))
	if first["sub"] != second["sub"] || first["auth_time"] != second["auth_time"] {
		c.t.Errorf("first login %v, second %v", first, second)
	}
}

func (c *conformance) promptNoneNotLoggedIn() {
	c.cookie = "other=1"
	c.expectError("prompt=none", c.authorize(c.request("prompt", "none")), "login_required")
}

func (c *conformance) promptNoneLoggedIn() {
	first := c.idToken("first", c.login())
	second := c.idToken("second", c.login("prompt", "none"))
	if first["sub"] != second["sub"] || first["auth_time"] != second["auth_time"] {
		c.t.Errorf("first login %v, second %v", first, second)
	}
}

func (c *conformance) idTokenHint() {
	first := c.login()
	hint, _ := first.body["id_token"].(string)
	second := c.idToken("second", c.login("prompt", "none", "id_token_hint", hint))
	if second["sub"] != c.idToken("first", first)["sub"] {
		c.t.Errorf("second login %v", second)
	}
}

func (c *conformance) loginHint() {
	c.cookie = "other=1"
	got := c.authorize(c.request("login_hint", "buffy@example.com"))
	c.expectLogin("login_hint", got)
	if !strings.Contains(got.text, `value="buffy@example.com"`) {
		c.t.Error("the login page does not show the hint")
	}
}

func (c *conformance) acrValues() {
	var document oauth.Metadata
	c.metadata().decode(&document)
	values := document.ACRValuesSupported
	claims := c.idToken("login", c.login("acr_values", strings.Join(values, " ")))
	if acr, _ := claims["acr"].(string); !slices.Contains(values, acr) {
		c.t.Errorf("acr %v, want one of %v", claims["acr"], values)
	}
}

func (c *conformance) codeReuse() { c.useTwice(0) }

func (c *conformance) codeReuseLater() { c.useTwice(30 * time.Second) }

// useTwice uses a code a second time, which also revokes the tokens of the first time.
func (c *conformance) useTwice(later time.Duration) {
	code := c.response("login", c.authorize(c.request())).Get("code")
	tokens := c.tokenRequest("code", code)
	c.expectOK("first use", tokens)
	c.claims(access(tokens))
	c.wait(later)
	c.tokenRequest("code", code).expect("second use", http.StatusBadRequest, oauth.CodeInvalidGrant, "")
	got := c.get("/userinfo", header("Authorization", "Bearer "+access(tokens)))
	if got.status != http.StatusUnauthorized {
		c.t.Errorf("userinfo after the second use: %d", got.status)
	}
}

func (c *conformance) registeredRedirectURI() {
	got := c.authorize(c.request("redirect_uri", "https://app.example/back/other"))
	if got.status != http.StatusBadRequest || got.header.Get("Location") != "" ||
		!strings.Contains(got.text, "not registered") {
		c.t.Errorf("%d to %s", got.status, got.header.Get("Location"))
	}
}

func (c *conformance) postRequest() {
	got := c.serve(withCookie(pageForm("/authorize", c.request()), c.cookie))
	r := httptest.NewRequest(http.MethodGet, issuer+got.header.Get("Location"), nil)
	c.idToken("login", c.token(c.serve(withCookie(r, c.cookie))))
}

func (c *conformance) claimsEssential() {
	tokens := c.login("claims", `{"userinfo":{"name":{"essential":true}}}`)
	if claims := c.claims(access(tokens)); claims["name"] != "John Doe" {
		c.t.Errorf("userinfo %v", claims)
	}
}

// The redirect URI outside of the request object decides, because request objects are not supported.
func (c *conformance) requestObjectWithRedirectURI() {
	got := c.authorize(c.request("request", "eyJhbGciOiJub25lIn0.e30.", "redirect_uri", "https://app.example/invalid"))
	if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
		c.t.Errorf("%d to %s", got.status, got.header.Get("Location"))
	}
}

func (c *conformance) refreshToken() {
	tokens := c.login("scope", "openid offline_access")
	first := c.idToken("login", tokens)
	refresh, _ := tokens.body["refresh_token"].(string)
	c.wait(time.Second)
	fresh := c.tokenRequest("grant_type", "refresh_token", "refresh_token", refresh, "scope", "openid offline_access")
	c.expectOK("refresh", fresh)
	claims := c.idToken("refresh", fresh)
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid"} {
		if claims[name] != first[name] {
			c.t.Errorf("%s was %v and is %v", name, first[name], claims[name])
		}
	}
	if claims["iat"].(float64) <= first["iat"].(float64) || access(fresh) == access(tokens) {
		c.t.Errorf("refreshed tokens %v", claims)
	}
	refresh, _ = fresh.body["refresh_token"].(string)
	c.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}.Encode(),
		basic(secondSuiteClient, c.secrets[secondSuiteClient])).
		expect("another client", http.StatusBadRequest, oauth.CodeInvalidGrant, "")
}

func (c *conformance) validPKCE() {
	query := openIDQuery("state", "st")
	c.idToken("login", c.token(c.authorize(query), "code_verifier", verifier))
}

func (c *conformance) discovery() {
	got := c.get("/.well-known/openid-configuration")
	var document map[string]any
	got.decode(&document)
	if got.header.Get("Content-Type") != "application/json" || document["issuer"] != issuer {
		c.t.Errorf("issuer %v, headers %v", document["issuer"], got.header)
	}
	for name, want := range map[string]string{
		"response_types_supported": "code", "subject_types_supported": "public", "scopes_supported": "openid",
		"id_token_signing_alg_values_supported": "RS256", "grant_types_supported": "authorization_code",
		"claims_supported": "sub", "code_challenge_methods_supported": "S256",
	} {
		if values, _ := document[name].([]any); !slices.Contains(values, any(want)) {
			c.t.Errorf("%s: %v, want %s in it", name, document[name], want)
		}
	}
	if document["end_session_endpoint"] != issuer+"/end_session" {
		c.t.Errorf("end_session_endpoint %v", document["end_session_endpoint"])
	}
	for name, value := range document {
		if text, _ := value.(string); strings.HasSuffix(name, "_endpoint") && !strings.HasPrefix(text, "https://") {
			c.t.Errorf("%s: %s", name, text)
		}
	}
	set, err := keyring.ParsePublic([]byte(c.get("/jwks.json").text))
	if err != nil || set == nil || document["jwks_uri"] != issuer+"/jwks.json" {
		c.t.Errorf("jwks_uri %v: %v", document["jwks_uri"], err)
	}
}
