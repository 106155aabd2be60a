package bearer_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// algs is the attribute of a challenge that lists the algorithms of proofs.
const algs = `algs="ES256 EdDSA Ed25519 RS256 PS256"`

// sent is a request to an API with DPoP, which tests change.
type sent struct {
	scheme, token string
	proofs        []string
}

// dpopAPI is a guard with a client that has a key.
type dpopAPI struct {
	t      *testing.T
	issuer *bearertest.Issuer
	guard  *bearer.Guard
	key    *bearertest.Key
	bound  string
}

func newDPoPAPI(t *testing.T) *dpopAPI {
	t.Helper()
	issuer, key := bearertest.New(t), bearertest.NewKey(t)
	return &dpopAPI{t, issuer, issuer.Guard(), key, issuer.BoundToken(key, "a")}
}

// proof returns a proof for GET /items with the nonce.
func (a *dpopAPI) proof(key *bearertest.Key, access, nonce string) string {
	a.t.Helper()
	proof, err := key.Proof(http.MethodGet, bearertest.Audience+"/items", access, nonce)
	if err != nil {
		a.t.Fatal(err)
	}
	return proof
}

// call sends GET /items to a handler that requires the scope a.
func (a *dpopAPI) call(s sent) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://internal:8000/items?page=2", nil)
	r.Header.Set("Authorization", s.scheme+" "+s.token)
	for _, proof := range s.proofs {
		r.Header.Add(dpop.Header, proof)
	}
	w := httptest.NewRecorder()
	a.guard.Require("a")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w
}

// good is a request that is accepted.
func (a *dpopAPI) good() sent {
	return sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, a.issuer.Nonce())}}
}

// A bound token is accepted with a proof of its key, once a proof, and in no other way (RFC 9449 section 7).
func TestDPoP(t *testing.T) {
	a := newDPoPAPI(t)
	plain, nonce, other := a.issuer.Token("a"), a.issuer.Nonce(), bearertest.NewKey(t)
	used := a.good()
	a.call(used)
	for _, tt := range []struct {
		name   string
		sent   sent
		status int
		code   string // of the challenge with the scheme, which the response must have
		says   string
	}{
		{"good", a.good(), 200, "", ""},
		{"scheme in lower case", sent{"dpop", a.bound, a.good().proofs}, 200, "", ""},
		{"replayed", used, 401, "DPoP invalid_dpop_proof", "used before"},
		{"no proof", sent{"DPoP", a.bound, nil}, 401, "DPoP invalid_dpop_proof", "missing"},
		{"two proofs", sent{"DPoP", a.bound, append(a.good().proofs, a.good().proofs...)}, 401, "DPoP invalid_dpop_proof", "more than one"},
		{"no nonce", sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, "")}}, 401, "DPoP use_dpop_nonce", "DPoP-Nonce"},
		{"forged nonce", sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, "B"+nonce[1:])}}, 401, "DPoP use_dpop_nonce", "DPoP-Nonce"},
		{"proof for another token", sent{"DPoP", a.bound, []string{a.proof(a.key, plain, nonce)}}, 401, "DPoP invalid_dpop_proof", "ath"},
		{"proof without a token", sent{"DPoP", a.bound, []string{a.proof(a.key, "", nonce)}}, 401, "DPoP invalid_dpop_proof", "ath"},
		{"proof of another key", sent{"DPoP", a.bound, []string{a.proof(other, a.bound, nonce)}}, 401, "DPoP invalid_token", "not of the key"},
		{"bound token as Bearer", sent{"Bearer", a.bound, nil}, 401, "Bearer invalid_token", "scheme DPoP"},
		{"bound token as Bearer with a proof", sent{"Bearer", a.bound, a.good().proofs}, 401, "Bearer invalid_token", "scheme DPoP"},
		{"bearer token as DPoP", sent{"DPoP", plain, []string{a.proof(a.key, plain, nonce)}}, 401, "DPoP invalid_token", "scheme Bearer"},
		{"bearer token", sent{"Bearer", plain, nil}, 200, "", ""},
		{"bearer token with a useless proof", sent{"Bearer", plain, []string{"x"}}, 200, "", ""},
		{"no token", sent{"DPoP", "", a.good().proofs}, 401, "DPoP invalid_token", "Could not validate credentials"},
		{"another issuer's token", sent{"DPoP", bearertest.New(t).BoundToken(a.key), a.good().proofs}, 401, "DPoP invalid_token", "Could not validate credentials"},
		{"scope missing", func() sent {
			narrow := a.issuer.BoundToken(a.key)
			return sent{"DPoP", narrow, []string{a.proof(a.key, narrow, nonce)}}
		}(), 403, "DPoP insufficient_scope", "lacks a scope"},
	} {
		w := a.call(tt.sent)
		scheme, code, _ := strings.Cut(tt.code, " ")
		challenge := w.Header().Get("WWW-Authenticate")
		if w.Code != tt.status || !strings.HasPrefix(challenge, scheme) || !strings.Contains(challenge, tt.says) ||
			(code != "") != strings.Contains(challenge, `error="`+code+`"`) {
			t.Errorf("%s: status %d, challenge %s", tt.name, w.Code, challenge)
		}
		if scheme == "DPoP" && (!strings.Contains(challenge, algs) || len(w.Header().Values("WWW-Authenticate")) != 1) {
			t.Errorf("%s: challenges %q", tt.name, w.Header().Values("WWW-Authenticate"))
		}
		if got := w.Header().Get("DPoP-Nonce"); (got != "") != (code == "use_dpop_nonce") {
			t.Errorf("%s: DPoP-Nonce %q", tt.name, got)
		}
	}
}

// A client with the nonce of a refusal is let in. Requests for another URL or by another method are not.
func TestDPoPWithTheNonceOfARefusal(t *testing.T) {
	a := newDPoPAPI(t)
	w := a.call(sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, "")}})
	nonce := w.Header().Get("DPoP-Nonce")
	if w := a.call(sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, nonce)}}); w.Code != 200 {
		t.Errorf("status %d: %s", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	for says, of := range map[string][]string{
		"htm": {http.MethodPost, bearertest.Audience + "/items"},
		"htu": {http.MethodGet, "http://internal:8000/items"},
	} {
		proof, err := a.key.Proof(of[0], of[1], a.bound, nonce)
		if err != nil {
			t.Fatal(err)
		}
		w := a.call(sent{"DPoP", a.bound, []string{proof}})
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || !strings.Contains(got, says) {
			t.Errorf("%s: status %d, challenge %s", says, w.Code, got)
		}
	}
}

// Without credentials the client is told of both schemes, Bearer first. With DPoP required it is told of that only,
// and bearer tokens are refused. The metadata says the same (RFC 9728 section 2).
func TestRequireDPoP(t *testing.T) {
	issuer := bearertest.New(t)
	for required, want := range map[bool][]string{
		false: {`Bearer realm="https://api.example", scope="a"`, `DPoP ` + algs},
		true:  {`DPoP realm="https://api.example", scope="a", ` + algs},
	} {
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: issuer.Ring(), AllowMissingStatus: true,
			RequireDPoP: required,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, refusal := guard.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil), "a")
		if diff := cmp.Diff(want, refusal.Challenges()); diff != "" {
			t.Errorf("required %v: challenges (-want +got):\n%s", required, diff)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Token("a"))
		if _, refusal := guard.Authenticate(r, "a"); (refusal != nil) != required {
			t.Errorf("required %v: refusal %+v", required, refusal)
		}
		mux, w := http.NewServeMux(), httptest.NewRecorder()
		guard.ServeMetadata(mux.Handle)
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, bearer.MetadataPath, nil))
		var metadata struct {
			Algorithms []string `json:"dpop_signing_alg_values_supported"`
			Required   bool     `json:"dpop_bound_access_tokens_required"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &metadata); err != nil || metadata.Required != required ||
			!cmp.Equal(metadata.Algorithms, dpop.Algorithms) {
			t.Errorf("required %v: metadata %s, %v", required, w.Body, err)
		}
	}
}

// With BearerOnly nobody is told of DPoP, and the refusal of a bound token says what the API accepts. The method of
// that name does not change its guard.
func TestBearerOnly(t *testing.T) {
	issuer, key := bearertest.New(t), bearertest.NewKey(t)
	cfg := bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: issuer.Ring(), AllowMissingStatus: true,
		BearerOnly: true,
	}
	configured, err := bearer.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	both := issuer.Guard()
	for name, guard := range map[string]*bearer.Guard{"Config": configured, "Guard": both.BearerOnly()} {
		w := httptest.NewRecorder()
		guard.ServeMetadata(func(path string, handler http.Handler) {
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		})
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "dpop") {
			t.Errorf("%s: metadata %d %s", name, w.Code, w.Body)
		}
		bound, authorized := issuer.BoundToken(key, "a"), httptest.NewRequest(http.MethodGet, "/", nil)
		issuer.Authorize(authorized, key, bound)
		for authorization, want := range map[string]struct{ detail, errorCode string }{
			"":                            {"Not authenticated", ""},
			"Bearer " + issuer.Token("a"): {},
			"Bearer " + bound:             {"This API accepts bearer tokens only", "invalid_token"},
			"DPoP " + bound:               {"This API accepts bearer tokens only", ""},
			"dpop " + issuer.Token("a"):   {"This API accepts bearer tokens only", ""},
		} {
			r := authorized.Clone(t.Context())
			r.Header.Set("Authorization", authorization)
			_, refusal := guard.Authenticate(r, "a")
			if refusal == nil {
				refusal = new(bearer.Refusal)
			}
			challenges := refusal.Challenges()
			if (refusal.Detail == "") != (want.detail == "") || !strings.HasPrefix(refusal.Detail, want.detail) ||
				string(refusal.Code) != want.errorCode || len(challenges) != 1 || !strings.HasPrefix(challenges[0], "Bearer") {
				t.Errorf("%s, %.10s: %+v, challenges %q", name, authorization, refusal, challenges)
			}
		}
		if _, refusal := both.Authenticate(authorized, "a"); refusal != nil {
			t.Errorf("the guard that takes proofs: %+v", refusal)
		}
	}
	cfg.RequireDPoP = true
	var wrong *bearer.ConfigError
	if _, err := bearer.Open(t.Context(), cfg); !errors.As(err, &wrong) || wrong.Field != "RequireDPoP" {
		t.Errorf("with RequireDPoP: %v", err)
	}
}

// An API whose identifier is no URL needs PublicURL. Without it, bound tokens are refused in every way.
func TestPublicURL(t *testing.T) {
	const urn = "urn:example:api"
	issuer, key := bearertest.New(t), bearertest.NewKey(t)
	claims := issuer.Claims()
	claims.Audience, claims.KeyThumbprint = []string{urn}, key.Thumbprint()
	bound := issuer.Sign(claims)
	for public, want := range map[string]bool{"": false, "https://api.example/v1": true} {
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer: bearertest.IssuerURL, Audience: urn, Keys: issuer.Ring(), AllowMissingStatus: true, PublicURL: public,
		})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := key.Proof(http.MethodGet, "https://api.example/v1/items", bound,
			dpop.NoncesOf(issuer.Ring(), urn).New(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		for _, scheme := range []string{"DPoP", "Bearer"} {
			r := httptest.NewRequest(http.MethodGet, "/items", nil)
			r.Header.Set("Authorization", scheme+" "+bound)
			r.Header.Set(dpop.Header, proof)
			_, refusal := guard.Authenticate(r)
			if (refusal == nil) != (want && scheme == "DPoP") {
				t.Errorf("public URL %q, %s: %+v", public, scheme, refusal)
			}
		}
	}
	for field, cfg := range map[string]bearer.Config{
		"PublicURL":       {Audience: urn, PublicURL: "api.example"},
		"RequireDPoP":     {Audience: urn, RequireDPoP: true},
		"DPoPNonceSecret": {Audience: bearertest.Audience, DPoPNonceSecret: "short"},
	} {
		cfg.Issuer, cfg.Keys = bearertest.IssuerURL, issuer.Ring()
		var wrong *bearer.ConfigError
		if _, err := bearer.Open(t.Context(), cfg); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// With public keys the replicas share no secret, and no nonce is needed unless one is configured.
func TestNonceSecret(t *testing.T) {
	const nonceSecret = "a secret that all replicas share, of 32 bytes or more"
	set, err := keyring.Generate(keyring.EdDSA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		t.Fatal(err)
	}
	key, claims := bearertest.NewKey(t), bearertest.New(t).Claims()
	claims.KeyThumbprint = key.Thumbprint()
	bound, err := (&token.Signer{Keys: ring}).Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ configured, nonce, want string }{
		{"", "", ""},
		{nonceSecret, "", "use_dpop_nonce"},
		{nonceSecret, dpop.NewNonces([]byte(nonceSecret)).New(time.Now()), ""},
	} {
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: ring, AllowMissingStatus: true,
			DPoPNonceSecret: tt.configured,
		})
		if err != nil {
			t.Fatal(err)
		}
		proof, err := key.Proof(http.MethodGet, bearertest.Audience+"/", bound, tt.nonce)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "DPoP "+bound)
		r.Header.Set(dpop.Header, proof)
		_, refusal := guard.Authenticate(r)
		if refusal == nil {
			refusal = new(bearer.Refusal)
		}
		if string(refusal.Code) != tt.want || (refusal.Nonce != "") != (tt.want != "") {
			t.Errorf("secret %q, nonce %q: %+v", tt.configured, tt.nonce, refusal)
		}
	}
}

// In the second half of a nonce's life, the response to a request has the next one, and must not be cached.
func TestNextNonce(t *testing.T) {
	a, now := newDPoPAPI(t), time.Now()
	var err error
	a.guard, err = bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: a.issuer.Ring(), AllowMissingStatus: true,
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{0: false, 40 * time.Second: true} {
		nonce := dpop.NoncesOf(a.issuer.Ring(), bearertest.Audience).New(now.Add(-after))
		w := a.call(sent{"DPoP", a.bound, []string{a.proof(a.key, a.bound, nonce)}})
		if got := w.Header().Get("DPoP-Nonce"); w.Code != 200 || (got != "") != want ||
			want != (w.Header().Get("Cache-Control") == "no-store") {
			t.Errorf("after %v: status %d, headers %v", after, w.Code, w.Header())
		}
	}
}

// A route may need another scope than the routes around it: one proof is enough for both guards.
func TestGuardInsideAGuard(t *testing.T) {
	i, k := bearertest.New(t), bearertest.NewKey(t)
	g := i.Guard()
	h := g.Require("a")(g.Require("b")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})))
	for scopes, want := range map[string]int{"a b": http.StatusTeapot, "a": http.StatusForbidden} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, bearertest.Audience+"/x", nil)
		i.Authorize(r, k, i.BoundToken(k, strings.Fields(scopes)...))
		for _, status := range []int{want, http.StatusUnauthorized} { // the second request is a replay
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != status {
				t.Errorf("scopes %s: status %d, want %d: %s", scopes, w.Code, status, w.Body)
			}
		}
	}
}

// A token that is bound in a way that is not known here is no bearer token (RFC 7800 section 3.1).
func TestOtherConfirmation(t *testing.T) {
	secret := strings.Repeat("s", keyring.MinSecret)
	ring, err := keyring.FromSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, TokenSecret: secret, AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for cnf, want := range map[string]bool{
		``:                           true,
		`,"cnf":{"x5t#S256":"abc"}`:  false,
		`,"cnf":{}`:                  false,
		`,"cnf":{"jkt":""}`:          false,
		`,"cnf":{"jkt":1}`:           false,
		`,"cnf":"x"`:                 false,
		`,"cnf":{"jkt":"a thumb"}`:   false, // as Bearer
		`,"cnf":null`:                true,
		`,"cnf":{"jkt":"a"},"cnf":1`: false,
	} {
		payload := fmt.Sprintf(`{"iss":%q,"sub":"usr_1","aud":%q,"client_id":"web","jti":"1","iat":%d,"exp":%d%s}`,
			bearertest.IssuerURL, bearertest.Audience, time.Now().Unix(), time.Now().Add(time.Hour).Unix(), cnf)
		raw, err := ring.Keys()[0].Sign("at+jwt", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		if _, refusal := guard.Authenticate(r); (refusal == nil) != want {
			t.Errorf("%s: %+v", cnf, refusal)
		}
	}
}

// While the guard remembers as many proofs as it may, it cannot tell whether a proof was used: 503 without a challenge.
func TestDPoPMemoryIsFull(t *testing.T) {
	a := newDPoPAPI(t)
	base, err := dpop.ParseBase(bearertest.Audience)
	if err != nil {
		t.Fatal(err)
	}
	a.guard.AcceptDPoP(dpop.NewVerifier(dpop.Config{
		Base: base, Nonces: dpop.NoncesOf(a.issuer.Ring(), bearertest.Audience), Replays: dpop.NewMemory(2),
	}))
	first := a.good()
	for i, want := range []int{200, 200, 503, 503} {
		r := a.good()
		if i == 0 {
			r = first
		}
		w := a.call(r)
		if w.Code != want || (want == 503) != (w.Header().Get("Retry-After") == "1") {
			t.Errorf("request %d: status %d, headers %v", i, w.Code, w.Header())
		}
	}
	if w := a.call(first); w.Code != 401 {
		t.Errorf("the first one again: status %d", w.Code)
	}
	plain := a.call(sent{"Bearer", a.issuer.Token("a"), nil})
	if plain.Code != 200 {
		t.Errorf("a bearer token: status %d", plain.Code)
	}
}
