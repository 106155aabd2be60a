package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// proofs returns what verifies DPoP proofs at the site.
func (s *site) proofs() *dpop.Verifier {
	s.t.Helper()
	base, err := dpop.ParseBase(issuer)
	s.must(err)
	return dpop.NewVerifier(dpop.Config{
		Base: base, Nonces: dpop.NewNonces([]byte("secret of the nonces of the tests")),
		Replays: web.Proofs{Store: s.data}, Now: s.clock,
	})
}

// key is the key of a client. Its proofs are made at the time of the site.
type key struct {
	*dpop.Signer
	s *site
}

func (s *site) newKey() *key {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	signer, err := dpop.NewSigner(private, s.clock)
	s.must(err)
	return &key{signer, s}
}

// proof returns a proof for a request, without an access token.
func (k *key) proof(method, path, nonce string) string {
	k.s.t.Helper()
	proof, err := k.Proof(method, issuer+path, "", nonce)
	k.s.must(err)
	return proof
}

// prove makes a token request have a valid proof.
func (k *key) prove() change {
	return header("Dpop", k.proof(http.MethodPost, "/token", k.s.proofs().Nonce()))
}

// expectBound checks that the access token of a response is bound to the key, or to none if k is nil.
func (s *site) expectBound(what string, a answer, k *key) {
	s.t.Helper()
	if refresh, ok := a.body["refresh_token"].(string); ok {
		s.hide(refresh)
	}
	kind, want := "bearer", ""
	if k != nil {
		kind, want = "DPoP", k.Thumbprint()
	}
	if got := s.expectOK(what, a).KeyThumbprint; got != want || a.body["token_type"] != kind {
		s.t.Errorf("%s: %v, bound to %q, want %q", what, a.body["token_type"], got, want)
	}
}

// The first request of a client gets a nonce (RFC 9449 section 8), and the next one a token that is bound to its key,
// with each grant type that needs no user.
func TestDPoPNonce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k := s.newKey()
	for name, request := range map[string][]change{
		"password=" + password + "&username=" + john + "&client_id=" + public + "&grant_type=password": nil,
		"grant_type=client_credentials": {basic(reporter, s.secrets[reporter])},
	} {
		got := s.post(name, append(request, header("Dpop", k.proof("POST", "/token", "")))...)
		got.expect(name, http.StatusBadRequest, oauth.CodeUseDPoPNonce, "DPoP-Nonce")
		nonce := got.header.Get("DPoP-Nonce")
		got = s.post(name, append(request, header("Dpop", k.proof("POST", "/token", nonce)))...)
		s.expectBound(name, got, k)
		if got.header.Get("DPoP-Nonce") == "" {
			t.Errorf("%s: the response has no nonce for the next request", name)
		}
		s.wait(time.Minute)
		got = s.post(name, append(request, header("Dpop", k.proof("POST", "/token", nonce)))...)
		got.expect(name+", old nonce", http.StatusBadRequest, oauth.CodeUseDPoPNonce, "")
		s.expectBound(name+", no proof", s.post(name, request...), nil)
	}
}

// Proofs that are not valid are refused with what is wrong with them (RFC 9449 section 5), before anything else is
// looked at. Package dpop has the other cases.
func TestBadDPoPProofs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k, nonce := s.newKey(), s.proofs().Nonce()
	good := func() string { return k.proof("POST", "/token", nonce) }
	bound, err := k.Proof("POST", issuer+"/token", "a token", nonce)
	s.must(err)
	old := good()
	for _, tt := range []struct {
		name, says string
		code       oauth.ErrorCode
		proofs     []string
	}{
		{"empty", "not a signed JWT", oauth.CodeInvalidDPoPProof, []string{""}},
		{"no JWT", "not a signed JWT", oauth.CodeInvalidDPoPProof, []string{"x"}},
		{"two", "more than one", oauth.CodeInvalidDPoPProof, []string{good(), good()}},
		{"oversized", "too long", oauth.CodeInvalidDPoPProof, []string{strings.Repeat("x", dpop.MaxLength+1)}},
		{"another method", "htm", oauth.CodeInvalidDPoPProof, []string{k.proof("GET", "/token", nonce)}},
		{"another endpoint", "htu", oauth.CodeInvalidDPoPProof, []string{k.proof("POST", "/par", nonce)}},
		{"changed", "signature", oauth.CodeInvalidDPoPProof, []string{old[:len(old)-4] + "AAAA"}},
		{"forged nonce", "DPoP-Nonce", oauth.CodeUseDPoPNonce, []string{k.proof("POST", "/token", "B"+nonce[1:])}},
		{"proof for an API", "", "", []string{bound}}, // ath means nothing here
	} {
		got := s.post(login("grant_type", "password", "client_id", public), header("Dpop", tt.proofs...))
		status := http.StatusBadRequest
		if tt.code == "" {
			status = http.StatusOK
		}
		got.expect(tt.name, status, tt.code, tt.says)
	}
	s.wait(6 * time.Minute)
	late := k.proof("POST", "/token", s.proofs().Nonce())
	s.wait(-6 * time.Minute)
	got := s.post(login("grant_type", "password", "client_id", public), header("Dpop", late))
	got.expect("from the future", http.StatusBadRequest, oauth.CodeUseDPoPNonce, "")
}

// Of many requests with one proof, at several servers of one database, one is accepted.
func TestDPoPReplay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := web.New(func() web.Config {
		cfg := s.config()
		cfg.Registry = prometheus.NewRegistry()
		return cfg
	}())
	k := s.newKey()
	proof := k.prove()
	var wg sync.WaitGroup
	results := make([]answer, 8)
	for i := range results {
		wg.Go(func() {
			r := s.request("grant_type=client_credentials", basic(reporter, s.secrets[reporter]), proof)
			r.RequestURI = "/token"
			server := site{t: s.t, handler: s.handler}
			if i%2 == 1 {
				server.handler = other
			}
			results[i] = server.serve(r)
		})
	}
	wg.Wait()
	accepted := 0
	for _, got := range results {
		got = s.tokenAnswer(got)
		if got.status == http.StatusOK {
			accepted++
			continue
		}
		got.expect("replay", http.StatusBadRequest, oauth.CodeInvalidDPoPProof, "used before")
	}
	if accepted != 1 {
		t.Errorf("%d of %d requests were accepted", accepted, len(results))
	}
}

// A client that must use DPoP gets no token without a proof (RFC 9449 section 5.2).
func TestRequiredDPoP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := s.data.UpdateClient(t.Context(), public, s.clock(), func(c client.Client) (client.Client, error) {
		c.RequireDPoP = true
		return c, nil
	})
	s.must(err)
	got := s.post(login("grant_type", "password", "client_id", public))
	got.expect("no proof", http.StatusBadRequest, oauth.CodeInvalidRequest, "DPoP proof")
	k := s.newKey()
	s.expectBound("proof", s.post(login("grant_type", "password", "client_id", public), k.prove()), k)
}

// use_dpop_nonce uses up neither an assertion nor a code: the client sends them again.
func TestNonceUsesNothingUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	signs, k := newSigner(t, "ES256", "a"), s.newKey()
	s.addSigner("signs", client.Assertion{JWKS: jwks(t, signs)})
	body := asserted(signs.sign(s.ownClaims("signs", nil), nil))
	got := s.post(body, header("Dpop", k.proof("POST", "/token", "")))
	got.expect("assertion", http.StatusBadRequest, oauth.CodeUseDPoPNonce, "")
	s.expectBound("assertion", s.post(body, header("Dpop", k.proof("POST", "/token", got.header.Get("DPoP-Nonce")))), k)

	s.addOpenIDApp()
	code := s.response("code", s.serve(withCookie(openIDRequest("scope", "items:read"), s.sessionCookie()))).Get("code")
	body = codeForm(code)
	got = s.post(body, header("Dpop", k.proof("POST", "/token", "")))
	got.expect("code", http.StatusBadRequest, oauth.CodeUseDPoPNonce, "")
	s.expectBound("code", s.post(body, header("Dpop", k.proof("POST", "/token", got.header.Get("DPoP-Nonce")))), k)
}

// codeForm returns the token request for a code of openIDApp.
func codeForm(code string) string {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {openIDApp}, "code_verifier": {verifier}, "code": {code},
	}.Encode()
}

// The metadata has the algorithms of proofs (RFC 9449 section 5.1), and registration the client's choice (section 5.2).
func TestDPoPMetadata(t *testing.T) {
	t.Parallel()
	s := newRegistrationSite(t)
	var document struct {
		Algorithms []string `json:"dpop_signing_alg_values_supported"`
	}
	s.metadata().decode(&document)
	if !slices.Equal(document.Algorithms, dpop.Algorithms) {
		t.Errorf("algorithms %v", document.Algorithms)
	}
	for text, want := range map[string]bool{
		`"dpop_bound_access_tokens":true,`: true, `"dpop_bound_access_tokens":false,`: false, "": false,
	} {
		body := "{" + text + `"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}`
		got := s.serve(registration("POST", "/register", "", body))
		c, err := s.data.ClientByID(t.Context(), got.member("client_id"))
		s.must(err)
		if c.RequireDPoP != want || strings.Contains(got.text, `"dpop_bound_access_tokens":true`) != want {
			t.Errorf("%s: %v, response %s", text, c.RequireDPoP, got.text)
		}
	}
	got := s.serve(registration("POST", "/register", "",
		`{"redirect_uris":["https://app.example/cb"],"dpop_bound_access_tokens":"yes"}`))
	if got.status != http.StatusBadRequest {
		t.Errorf("wrong type: status %d %s", got.status, got.text)
	}
}
