package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// mobile is a public client that refreshes.
const mobile = "mobile"

// mobileRefresh returns a refresh request of a public client.
func mobileRefresh(token string) string {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {mobile}, "refresh_token": {token}}.Encode()
}

func refreshOf(a answer) string {
	token, _ := a.body["refresh_token"].(string)
	return token
}

func newMobileSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.addClient(mobile, "", oauth.GrantPassword, oauth.GrantRefreshToken)
	return s
}

// The refresh tokens of a public client are bound to the key of the login (RFC 9449 section 5). A thief who has one but
// not the key gets nothing, and does not end the login.
func TestRefreshTokenIsBound(t *testing.T) {
	t.Parallel()
	s := newMobileSite(t)
	k, thief := s.newKey(), s.newKey()
	got := s.post(login("grant_type", "password", "client_id", mobile), k.prove())
	s.expectBound("login", got, k)
	for range 3 {
		token := refreshOf(got)
		s.post(mobileRefresh(token)).expect("no proof", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
		s.post(mobileRefresh(token), thief.prove()).
			expect("another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
		got = s.post(mobileRefresh(token), k.prove())
		s.expectBound("refresh", got, k)
		s.expectBound("lost response", s.post(mobileRefresh(token), k.prove()), k)
		s.post(mobileRefresh(token), thief.prove()).
			expect("another key, replaced token", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
		s.wait(time.Minute)
	}
	if !strings.Contains(s.log.String(), "refresh failed") || !strings.Contains(s.log.String(), "bound to a key") {
		t.Errorf("the log does not say why:\n%s", s.log)
	}
}

// A login without a proof is bound to the key of the first proof that comes with a refresh.
func TestRefreshTokenIsBoundLater(t *testing.T) {
	t.Parallel()
	s := newMobileSite(t)
	k, other := s.newKey(), s.newKey()
	got := s.post(login("grant_type", "password", "client_id", mobile))
	s.expectBound("login", got, nil)
	got = s.post(mobileRefresh(refreshOf(got)))
	s.expectBound("refresh", got, nil)
	got = s.post(mobileRefresh(refreshOf(got)), k.prove())
	s.expectBound("refresh with a proof", got, k)
	s.post(mobileRefresh(refreshOf(got))).
		expect("no proof", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	s.post(mobileRefresh(refreshOf(got)), other.prove()).
		expect("another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	s.expectBound("refresh again", s.post(mobileRefresh(refreshOf(got)), k.prove()), k)
}

// A replaced token does not bind the grant: a thief who has an old one does not take the login from its owner.
func TestReplacedTokenBindsNothing(t *testing.T) {
	t.Parallel()
	s := newMobileSite(t)
	old := refreshOf(s.post(login("grant_type", "password", "client_id", mobile)))
	current := refreshOf(s.post(mobileRefresh(old)))
	s.wait(time.Second)
	thief := s.newKey()
	s.expectBound("a replaced token with a proof", s.post(mobileRefresh(old), thief.prove()), thief)
	s.wait(time.Second)
	s.expectBound("the owner", s.post(mobileRefresh(current)), nil)
}

// The refresh tokens of a confidential client are bound to the client. Each access token is bound to the key of its
// own request (RFC 9449 section 5), and introspection says so (section 6.2).
func TestConfidentialClientChangesItsKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	first, second := s.newKey(), s.newKey()
	got := s.post(login("grant_type", "password"), reader, first.prove())
	s.expectBound("login", got, first)
	for _, k := range []*key{second, nil, first} {
		changes := []change{reader}
		if k != nil {
			changes = append(changes, k.prove())
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshOf(got)}}
		got = s.post(form.Encode(), changes...)
		s.expectBound("refresh", got, k)
		_, said := s.ask("/introspect", access(got), reader)
		cnf, _ := said["cnf"].(map[string]any)
		switch {
		case said["active"] != true:
			t.Errorf("introspection: %v", said)
		case k == nil && (said["token_type"] != "bearer" || said["cnf"] != nil):
			t.Errorf("introspection of a bearer token: %v", said)
		case k != nil && (said["token_type"] != "DPoP" || cnf["jkt"] != k.Thumbprint()):
			t.Errorf("introspection of a bound token: %v", said)
		}
		if _, said := s.ask("/introspect", refreshOf(got), reader); said["active"] != true || said["cnf"] != nil {
			t.Errorf("introspection of the refresh token: %v", said)
		}
	}
}

// A code is bound to the key that the authorization request names (RFC 9449 section 10).
func TestCodeIsBound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addOpenIDApp()
	cookie, k, thief := s.sessionCookie(), s.newKey(), s.newKey()
	request := func(jkt string) answer {
		return s.serve(withCookie(openIDRequest("scope", "items:read", "state", "st", "dpop_jkt", jkt), cookie))
	}
	for name, bad := range map[string]string{
		"too short": k.Thumbprint()[1:], "too long": k.Thumbprint() + "A", "not base64url": "+" + k.Thumbprint()[1:],
	} {
		s.expectError(name, request(bad), "invalid_request")
	}
	code := codeForm(s.response("code", request(k.Thumbprint())).Get("code"))
	s.post(code).expect("no proof", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	s.post(code, thief.prove()).expect("another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	got := s.post(code, k.prove())
	s.expectBound("code", got, k)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refreshOf(got)}}
	s.post(form.Encode(), thief.prove()).
		expect("refresh with another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	s.expectBound("refresh", s.post(form.Encode(), k.prove()), k)

	free := codeForm(s.response("code", s.serve(withCookie(openIDRequest("scope", "items:read"), cookie))).Get("code"))
	s.expectBound("a code that is not bound", s.post(free, thief.prove()), thief)
}

// dpop_jkt must be a thumbprint, also where PKCE is not required (RFC 9449 section 10).
func TestKeyThumbprintWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	s.addRedirecting("lax", "digest", true, "https://app.example/cb")
	_, err := s.data.UpdateClient(t.Context(), "lax", s.clock(), func(c client.Client) (client.Client, error) {
		c.WithoutPKCE = true
		return c, c.Validate()
	})
	s.must(err)
	cookie, k := s.sessionCookie(), s.newKey()
	for jkt, want := range map[string]string{k.Thumbprint()[1:]: "dpop_jkt+must+be", k.Thumbprint(): "?code="} {
		to := s.serve(withCookie(authorizeRequest("client_id", "lax", "redirect_uri", "https://app.example/cb",
			"code_challenge", "", "code_challenge_method", "", "dpop_jkt", jkt), cookie)).header.Get("Location")
		if !strings.Contains(to, want) {
			t.Errorf("%s: sent to %s, want %q", jkt, to, want)
		}
	}
}

// A proof at the endpoint for pushed requests binds the code as well (RFC 9449 section 10.1).
func TestPushedRequestIsBound(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	s.addOpenIDAppOnly()
	k, other := s.newKey(), s.newKey()
	push := func(key *key, nonce string, changes ...string) answer {
		return s.push(openIDQuery(append([]string{"scope", "items:read"}, changes...)...),
			header("Dpop", key.proof("POST", "/par", nonce)))
	}
	got := push(k, "")
	got.expect("no nonce", http.StatusBadRequest, oauth.CodeUseDPoPNonce, "")
	nonce := got.header.Get("DPoP-Nonce")
	push(k, nonce, "dpop_jkt", other.Thumbprint()).
		expect("another dpop_jkt", http.StatusBadRequest, oauth.CodeInvalidRequest, "dpop_jkt")
	for name, changes := range map[string][]string{"proof": nil, "proof and dpop_jkt": {"dpop_jkt", k.Thumbprint()}} {
		uri := push(k, nonce, changes...).member("request_uri")
		s.hide(uri)
		query := url.Values{"client_id": {openIDApp}, "request_uri": {uri}}
		code := codeForm(s.response(name, s.browse(query, s.sessionCookie())).Get("code"))
		s.post(code, other.prove()).
			expect(name+", another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
		s.expectBound(name, s.post(code, k.prove()), k)
	}
	again := header("Dpop", k.proof("POST", "/par", nonce))
	if got := s.push(openIDQuery("scope", "items:read"), again); got.status != http.StatusCreated {
		t.Errorf("status %d %s", got.status, got.text)
	}
	s.push(openIDQuery("scope", "items:read"), again).
		expect("replayed", http.StatusBadRequest, oauth.CodeInvalidDPoPProof, "used before")
}

// addOpenIDAppOnly registers openIDApp at a site that has codeApp.
func (s *site) addOpenIDAppOnly() {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: openIDApp, Name: "OpenID App", FirstParty: true, CreatedAt: s.clock(),
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Scope:  oauth.Scope{"items:read"}, RedirectURIs: []string{"https://app.example/back"},
	}))
}

// A device's tokens are bound to the key of the poll that fetches them.
func TestDeviceTokensAreBound(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	k, thief := s.newKey(), s.newKey()
	d := s.start("client_id=" + tv)
	form := url.Values{
		"grant_type": {string(oauth.GrantDeviceCode)}, "device_code": {d.DeviceCode}, "client_id": {tv},
	}.Encode()
	s.post(form, k.prove()).expect("too early", http.StatusBadRequest, oauth.CodeAuthorizationPending, "")
	s.decide(d, "allow")
	s.wait(10 * time.Second)
	got := s.post(form, k.prove())
	s.expectBound("poll", got, k)
	refresh := url.Values{
		"grant_type": {"refresh_token"}, "client_id": {tv}, "refresh_token": {refreshOf(got)},
	}.Encode()
	s.post(refresh, thief.prove()).expect("another key", http.StatusBadRequest, oauth.CodeInvalidGrant, "bound to a key")
	s.expectBound("refresh", s.post(refresh, k.prove()), k)
}

// An API may exchange a bound token, which its client has proved to it, and gets a token that is bound to its own key
// or to none.
func TestExchangeOfBoundToken(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	k, api := s.newKey(), s.newKey()
	code := s.response("code", s.serve(withCookie(openIDRequest("scope", "items:read"), s.sessionCookie()))).Get("code")
	subject := s.post(codeForm(code), k.prove())
	s.expectBound("subject", subject, k)
	for name, own := range map[string]*key{"no proof": nil, "proof": api} {
		form := url.Values{
			"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {access(subject)},
			"subject_token_type": {oauth.TokenTypeAccess}, "resource": {itemsAPI},
		}.Encode()
		changes, want := []change{s.auth[orders]}, ""
		if own != nil {
			changes, want = append(changes, own.prove()), own.Thumbprint()
		}
		got := s.post(form, changes...)
		if claims := s.claims(name, itemsAPI, got); claims.KeyThumbprint != want {
			t.Errorf("%s: bound to %q, want %q", name, claims.KeyThumbprint, want)
		}
	}
}

// The userinfo endpoint accepts a bound token with a proof, and not as a bearer token (RFC 9449 section 7).
func TestUserinfoWithDPoP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k := s.newKey()
	bound := access(s.post(login("grant_type", "password", "client_id", public, "scope", "profile"), k.prove()))
	ask := func(nonce string) answer {
		proof, err := k.Proof("GET", issuer+"/userinfo", bound, nonce)
		s.must(err)
		return s.get("/userinfo", header("Authorization", "DPoP "+bound), header("Dpop", proof))
	}
	got := ask("")
	if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized ||
		!strings.HasPrefix(challenge, `DPoP error="use_dpop_nonce"`) {
		t.Errorf("no nonce: %d %s", got.status, challenge)
	}
	if got := ask(got.header.Get("DPoP-Nonce")); got.status != http.StatusOK || !strings.Contains(got.text, john) {
		t.Errorf("%d %s %s", got.status, got.header.Get("WWW-Authenticate"), got.text)
	}
	if got, _ := s.userinfo(bound); got.status != http.StatusUnauthorized {
		t.Errorf("as Bearer: %d %s", got.status, got.text)
	}
}
