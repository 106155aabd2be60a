package web_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/clientmeta"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// signer is a key of a client or an issuer.
type signer struct {
	t         *testing.T
	algorithm jose.SignatureAlgorithm
	kid       string
	private   crypto.Signer
}

func newSigner(t *testing.T, algorithm jose.SignatureAlgorithm, kid string) *signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t: t, algorithm: algorithm, kid: kid, private: private}
}

// jwks returns the JWK Set of the public halves.
func jwks(t *testing.T, signers ...*signer) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.private.Public(), KeyID: s.kid})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sign returns a JWT with these claims and additional headers.
func (s *signer) sign(claims map[string]any, headers map[jose.HeaderKey]any) string {
	s.t.Helper()
	options := &jose.SignerOptions{}
	if s.kid != "" {
		options.WithHeader("kid", s.kid)
	}
	for name, value := range headers {
		options.WithHeader(name, value)
	}
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: s.private}, options)
	if err != nil {
		s.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := made.Sign(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// assertions counts the jti of these tests.
var assertions atomic.Int64

// ownClaims are the claims of a valid assertion that a client signs itself, with changes: a nil
// value leaves a claim out.
func (s *site) ownClaims(id string, changes map[string]any) map[string]any {
	return changed(map[string]any{
		"iss": id, "sub": id, "aud": issuer, "jti": fmt.Sprint("jti-", assertions.Add(1)),
		"iat": s.clock().Unix(), "exp": s.clock().Add(time.Minute).Unix(),
	}, changes)
}

func changed(claims, changes map[string]any) map[string]any {
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// asserted is the form of a client credentials request with an assertion.
func asserted(text string, changes ...string) string {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {assertion.Type}, "client_assertion": {text},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form.Encode()
}

// addSigner registers a service that authenticates by assertions.
func (s *site) addSigner(id string, a client.Assertion) {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: id, Name: id, SecretDigest: client.NoSecret, Grants: []oauth.GrantType{oauth.GrantClientCredentials},
		Scope: oauth.Scope{"items:read"}, Introspects: true, IntrospectsFor: []string{client.DefaultAPI},
		CreatedAt: s.now, Assertion: a,
	}))
}

// documents is a server of JWK Sets and metadata on loopback, from which the site may fetch.
type documents struct {
	url    string
	hits   atomic.Int64
	status atomic.Int64
	wait   func(path string) // called before a response, if not nil

	mu    sync.Mutex
	texts map[string]string
}

func (d *documents) set(path, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts[path] = text
}

// fail makes the server respond with a status, and not with documents; 0 ends that.
func (d *documents) fail(status int) { d.status.Store(int64(status)) }

// newSiteWithDocuments starts a site and a server of documents.
func newSiteWithDocuments(t *testing.T) (*site, *documents) {
	t.Helper()
	d := &documents{texts: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.hits.Add(1)
		if d.wait != nil {
			d.wait(r.URL.Path)
		}
		if status := d.status.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		text, ok := d.texts[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	s := newSite(t, func(cfg *web.Config) {
		guard := outbound.New(outbound.Config{
			Exception: netip.MustParseAddrPort(server.Listener.Addr().String()), Now: cfg.Now, Log: cfg.Log,
			Timeout: time.Hour,
		})
		policy, err := clientmeta.ParsePolicy([]string{"all"})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Documents = clientmeta.NewDocuments(policy, guard, cfg.Log)
		cfg.Assertions = assertion.New(assertion.Config{
			Audiences: []string{issuer, issuer + "/token", issuer + "/par"}, Guard: guard, Store: cfg.Store, Now: cfg.Now,
		})
	})
	return s, d
}

// RFC 7523 section 2.2 and OpenID Connect Core section 9: a client proves who it is by a JWT that
// it signs, with each algorithm, at each endpoint, with and without client_id.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		id, key := "signs-"+strings.ToLower(string(algorithm)), newSigner(t, algorithm, "a")
		s.addSigner(id, client.Assertion{JWKS: jwks(t, key)})
		sign := func(changes map[string]any) string { return key.sign(s.ownClaims(id, changes), nil) }
		got := s.post(asserted(sign(nil)))
		if claims := s.expectOK(id, got); claims.ClientID != id {
			t.Errorf("%s: the token is for %q", id, claims.ClientID)
		}
		token, _ := got.body["access_token"].(string)
		for name, body := range map[string]string{
			"client_id":                 asserted(sign(nil), "client_id", id),
			"aud is the token endpoint": asserted(sign(map[string]any{"aud": issuer + "/token"})),
			"aud is /par (RFC 9126)":    asserted(sign(map[string]any{"aud": issuer + "/par"})),
			"aud is a list of one":      asserted(sign(map[string]any{"aud": []string{issuer}})),
			"no iat":                    asserted(sign(map[string]any{"iat": nil})),
			"nbf":                       asserted(sign(map[string]any{"nbf": s.clock().Unix()})),
			"the longest":               asserted(sign(map[string]any{"exp": s.clock().Add(5 * time.Minute).Unix()})),
			"unknown claims":            asserted(sign(map[string]any{"scope": 1, "x": []int{1}})),
		} {
			s.expectOK(id+", "+name, s.post(body))
		}
		introspected := s.send(s.requestTo("/introspect", asserted(sign(nil), "grant_type", "", "token", token)))
		if introspected.status != http.StatusOK || !strings.Contains(introspected.text, `"active":true`) {
			t.Errorf("%s: introspection: %d %s", id, introspected.status, introspected.text)
		}
		revoked := s.send(s.requestTo("/revoke", asserted(sign(nil), "grant_type", "", "token", token)))
		if revoked.status != http.StatusOK {
			t.Errorf("%s: revocation: %d %s", id, revoked.status, revoked.text)
		}
		for _, typ := range []string{"JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"} {
			text := key.sign(s.ownClaims(id, nil), map[jose.HeaderKey]any{"typ": typ})
			s.expectOK(id+", typ "+typ, s.post(asserted(text)))
		}
	}
}

// requestTo is a request to another endpoint.
func (s *site) requestTo(path, body string) *http.Request {
	s.t.Helper()
	r := s.request(body)
	r.URL.Path = path
	return r
}

// expectReason checks that a request is refused with the same text as every other, and that the log
// has the reason but not the assertion.
func (s *site) expectReason(name, body, reason string) {
	s.t.Helper()
	form, err := url.ParseQuery(body)
	s.must(err)
	if text := form.Get("client_assertion"); len(text) > 40 {
		s.hide(text)
	}
	before := len(s.log.String())
	s.from("192.0.2."+fmt.Sprint(1+assertions.Add(1)%250)+":1", body).
		expectInvalidClient(name, "the client is unknown, or the assertion is not valid for it")
	logged := s.log.String()[before:]
	if !strings.Contains(logged, "event=client_authentication_failed") || !strings.Contains(logged, reason) {
		s.t.Errorf("%s: the log does not say %q:\n%s", name, reason, logged)
	}
}

func TestAssertionRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const id = "signs"
	key, other, foreign := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "b"), newSigner(t, jose.ES256, "a")
	s.addSigner(id, client.Assertion{JWKS: jwks(t, key, other)})
	s.addSigner("neighbour", client.Assertion{JWKS: jwks(t, foreign)})
	now := s.clock()
	for name, tt := range map[string]struct {
		changes map[string]any
		reason  string
	}{
		"aud missing":           {map[string]any{"aud": nil}, "aud is missing"},
		"aud of another server": {map[string]any{"aud": "https://other.example"}, "aud is another server"},
		"aud with a slash":      {map[string]any{"aud": issuer + "/"}, "aud is another server"},
		"aud of the API":        {map[string]any{"aud": audience}, "aud is another server"},
		"several aud":           {map[string]any{"aud": []string{issuer, "https://other.example"}}, "several values"},
		"aud twice the same":    {map[string]any{"aud": []string{issuer, issuer}}, "several values"},
		"aud of the wrong type": {map[string]any{"aud": 1}, "wrong type"},
		"iss missing":           {map[string]any{"iss": nil}, "iss is not the client"},
		"iss of another":        {map[string]any{"iss": "neighbour"}, "iss is not the client"},
		"sub missing":           {map[string]any{"sub": nil}, "sub is not the client"},
		"sub of another":        {map[string]any{"sub": "neighbour"}, "sub is not the client"},
		"jti missing":           {map[string]any{"jti": nil}, "jti is missing"},
		"jti empty":             {map[string]any{"jti": ""}, "jti is missing"},
		"jti too long":          {map[string]any{"jti": strings.Repeat("x", 256)}, "jti is longer"},
		"jti of the wrong type": {map[string]any{"jti": 1}, "wrong type"},
		"exp missing":           {map[string]any{"exp": nil}, "exp is missing"},
		"exp of the wrong type": {map[string]any{"exp": "soon"}, "wrong type"},
		"exp negative":          {map[string]any{"exp": -1}, "wrong type"},
		"exp huge":              {map[string]any{"exp": 1e300}, "wrong type"},
		"expired":               {map[string]any{"exp": now.Add(-30 * time.Second).Unix(), "iat": nil}, "it has expired"},
		"exp too far":           {map[string]any{"exp": now.Add(331 * time.Second).Unix()}, "exp is more than 5m0s ahead"},
		"from the future":       {map[string]any{"iat": now.Add(31 * time.Second).Unix()}, "iat is in the future"},
		"iat after exp":         {map[string]any{"iat": now.Unix(), "exp": now.Add(-time.Second).Unix()}, "iat is not before exp"},
		"nbf in the future":     {map[string]any{"nbf": now.Add(31 * time.Second).Unix()}, "nbf is in the future"},
	} {
		s.expectReason(name, asserted(key.sign(s.ownClaims(id, tt.changes), nil), "client_id", id), tt.reason)
	}
	claims := func() map[string]any { return s.ownClaims(id, nil) }
	valid := key.sign(claims(), nil)
	parts := strings.Split(valid, ".")
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(jwks(t, key))}, nil)
	s.must(err)
	payload, err := json.Marshal(claims())
	s.must(err)
	hs256, err := hmac.Sign(payload)
	s.must(err)
	withHMAC, err := hs256.CompactSerialize()
	s.must(err)
	const none = "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	noKid := *key
	noKid.kid = ""
	unknownKid := *key
	unknownKid.kid = "c"
	embedded := map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: foreign.private.Public(), KeyID: "a"}}
	for name, tt := range map[string]struct{ text, reason string }{
		"another key":         {foreign.sign(claims(), nil), "the signature is wrong"},
		"embedded key":        {foreign.sign(claims(), embedded), "the signature is wrong"},
		"changed claims":      {parts[0] + "." + strings.ReplaceAll(parts[1], "e", "f") + "." + parts[2], "the signature is wrong"},
		"no signature":        {parts[0] + "." + parts[1] + ".", "the signature is wrong"},
		"alg none":            {none + "." + parts[1] + ".", "alg is not one of RS256, PS256, ES256, EdDSA"},
		"HS256 with the keys": {withHMAC, "alg is not one of"},
		"no kid, two keys":    {noKid.sign(claims(), nil), "the header has no kid"},
		"unknown kid":         {unknownKid.sign(claims(), nil), "no key has the kid"},
		"access token type":   {key.sign(claims(), map[jose.HeaderKey]any{"typ": "at+jwt"}), "typ is not JWT"},
		"logout token type":   {key.sign(claims(), map[jose.HeaderKey]any{"typ": "logout+jwt"}), "typ is not JWT"},
		"typ not a text":      {key.sign(claims(), map[jose.HeaderKey]any{"typ": 1}), "typ is not a text"},
		"crit":                {key.sign(claims(), map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}), "crit"},
		"not a JWT":           {"x", "it is not a signed JWT"},
		"two parts":           {parts[0] + "." + parts[1], "it is not a signed JWT"},
		"JSON serialization":  {`{"payload":"","signatures":[]}`, "it is not a signed JWT"},
		"too long":            {valid + strings.Repeat("x", 8<<10), "longer than 8192 bytes"},
	} {
		s.expectReason(name, asserted(tt.text, "client_id", id), tt.reason)
	}
	s.expectReason("unknown client", asserted(valid, "client_id", "nobody"), "unknown client")
	s.expectReason("for another client", asserted(valid, "client_id", "neighbour"), "the signature is wrong")
	s.expectReason("client with a secret", asserted(valid, "client_id", backend), "has no keys")
	s.expectReason("public client", asserted(valid, "client_id", public), "has no keys")
	s.expectOK("the assertion that these were made of", s.post(asserted(valid)))
	s.expectReason("replayed", asserted(valid), "used before (jti)")
}

// A malformed request says what is wrong with it, for the client's developer.
func TestMalformedAssertion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := newSigner(t, jose.EdDSA, "")
	s.addSigner("signs", client.Assertion{JWKS: jwks(t, key)})
	text := key.sign(s.ownClaims("signs", nil), nil)
	const together, two = "must be sent together", "two client authentication methods"
	s.post(asserted(text, "client_assertion_type", "")).expectInvalidRequest("no type", together)
	s.post(asserted("")).expectInvalidRequest("no assertion", together)
	s.post(asserted(text, "client_secret", "x")).expectInvalidRequest("and a secret", two)
	s.post(asserted(text), basic("signs", "x")).expectInvalidRequest("and Basic", two)
	s.post(asserted(text)+"&client_assertion="+text).expectInvalidRequest("repeated", "client_assertion is given more")
	const saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
	s.post(asserted(text, "client_assertion_type", saml)).expectInvalidClient("SAML", "must be "+assertion.Type)
	s.post(asserted("x")).expectInvalidClient("nobody", "send client_id with the assertion")
	inQuery := func(r *http.Request) { r.URL.RawQuery = "client_assertion=x" }
	s.post(asserted(text), inQuery).expectInvalidRequest("in the query", "client_assertion must be in the body")
	s.post("grant_type=client_credentials&client_id=signs").expectInvalidClient("nothing", "wrong or missing")
	if !strings.Contains(s.log.String(), `reason="missing assertion"`) {
		t.Errorf("the log does not say that the assertion is missing:\n%s", s.log.String())
	}
	for _, text := range []string{"", client.NoSecret, "x"} {
		s.post("grant_type=client_credentials", basic("signs", text)).expectInvalidClient("secret "+text, "")
	}
	s.expectOK("the assertion", s.post(asserted(text)))
}

// Of many requests with one assertion, one succeeds.
func TestRaceForAssertion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := newSigner(t, jose.EdDSA, "")
	s.addSigner("signs", client.Assertion{JWKS: jwks(t, key)})
	body := asserted(key.sign(s.ownClaims("signs", nil), nil))
	var succeeded atomic.Int64
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if s.post(body).status == http.StatusOK {
				succeeded.Add(1)
			}
		})
	}
	group.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d requests succeeded, want 1", n)
	}
}

// Failed assertions are limited as wrong secrets are, and valid ones are not.
func TestFailedAssertionsAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := newSigner(t, jose.EdDSA, "")
	s.addSigner("signs", client.Assertion{JWKS: jwks(t, key)})
	wrong := asserted(key.sign(s.ownClaims("signs", map[string]any{"aud": "x"}), nil))
	for range freeFailures {
		s.post(wrong).expectInvalidClient("wrong aud", "")
	}
	s.post(wrong).expectThrottled("one too many", "1 second")
	s.expectOK("a valid one", s.post(asserted(key.sign(s.ownClaims("signs", nil), nil))))
}

// The clocks of servers that share a database may differ. An assertion that one of them has accepted is not
// accepted by another whose clock is behind, however late the first one was.
func TestReplayAtSlowClock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := newSigner(t, jose.ES256, "a")
	s.addSigner("signs", client.Assertion{JWKS: jwks(t, key)})
	sign := func() string { return asserted(key.sign(s.ownClaims("signs", nil), nil)) }
	used := sign()
	s.expectOK("first use", s.post(used))
	s.wait(time.Minute + 45*time.Second) // after the expiry and the tolerance of its clock
	for range 5 {                        // each use deletes a few that have expired
		s.expectOK("others", s.post(sign()))
	}
	s.wait(-30 * time.Second)
	s.expectReason("replayed", used, "used before (jti)")
}

// A client can have two secrets for a time, so that it can be changed without a gap.
func TestTwoSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fresh, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(fresh)
	s.must(s.data.AddClientSecret(t.Context(), reporter, digest, s.clock(), s.clock().Add(time.Hour)))
	const body = "grant_type=client_credentials"
	s.expectOK("old secret", s.post(body, basic(reporter, s.secrets[reporter])))
	s.expectOK("new secret", s.post(body, basic(reporter, fresh)))
	s.wait(time.Hour)
	s.post(body, basic(reporter, s.secrets[reporter])).expectInvalidClient("old secret later", "")
	s.expectOK("new secret later", s.post(body, basic(reporter, fresh)))
}

// RFC 8414 section 2: the metadata names the method, and the algorithms, which have no shared secret.
func TestMetadataOfAssertions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var document map[string]any
	s.metadata().decode(&document)
	for _, endpoint := range []string{"token", "revocation", "introspection"} {
		methods, _ := document[endpoint+"_endpoint_auth_methods_supported"].([]any)
		if !slices.Contains(methods, any("private_key_jwt")) || slices.Contains(methods, any("client_secret_jwt")) {
			t.Errorf("%s: methods %v", endpoint, methods)
		}
		algorithms := document[endpoint+"_endpoint_auth_signing_alg_values_supported"]
		if diff := cmp.Diff([]any{"RS256", "PS256", "ES256", "EdDSA"}, algorithms); diff != "" {
			t.Errorf("%s: algorithms (-want +got):\n%s", endpoint, diff)
		}
	}
}
