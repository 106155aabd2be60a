package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// What the proofs of these tests are for.
const (
	base   = "https://api.example"
	target = base + "/items/1"
	access = "an access token"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// server verifies proofs at a time that tests move.
type server struct {
	*dpop.Verifier
	now time.Time
}

// newServer returns a server at a URL. Without a secret it needs no nonces.
func newServer(t testing.TB, url, secret string) *server {
	t.Helper()
	at, err := dpop.ParseBase(url)
	if err != nil {
		t.Fatal(err)
	}
	nonces := dpop.NoncesOf(noRing{}, "")
	if secret != "" {
		nonces = dpop.NewNonces([]byte(secret))
	}
	s := &server{now: start}
	s.Verifier = dpop.NewVerifier(dpop.Config{
		Base: at, Nonces: nonces, Replays: dpop.NewMemory(1000), Now: func() time.Time { return s.now },
	})
	return s
}

// use checks a proof and uses it up.
func (s *server) use(t testing.TB, r *http.Request) (dpop.Proof, error) {
	t.Helper()
	proof, err := s.Check(r, access)
	if err == nil {
		err = s.Use(t.Context(), proof)
	}
	return proof, err
}

// members are the members of a JSON object.
type members map[string]any

func (m members) with(name string, value any) members {
	m = maps.Clone(m)
	if m[name] = value; value == nil {
		delete(m, name)
	}
	return m
}

// client signs proofs as a test says.
type client struct {
	t       testing.TB
	private crypto.Signer
	method  jwt.SigningMethod
	header  members
}

// newClient returns a client with a new key for an algorithm.
func newClient(t testing.TB, algorithm string) *client {
	t.Helper()
	var private crypto.Signer
	var err error
	method := jwt.GetSigningMethod(algorithm)
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256", "PS256":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
		method = jwt.SigningMethodEdDSA
	}
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, private, method, members{"typ": "dpop+jwt", "alg": algorithm, "jwk": jwkOf(t, private.Public())}}
}

// jwkOf returns a key as JSON.
func jwkOf(t testing.TB, key any) members {
	t.Helper()
	text, err := jose.JSONWebKey{Key: key}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// thumbprint returns the thumbprint by RFC 7638, as another library has it.
func (c *client) thumbprint() string {
	c.t.Helper()
	sum, err := (&jose.JSONWebKey{Key: c.private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		c.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// sign signs texts as they are.
func (c *client) sign(header, payload string) string {
	c.t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	signature, err := c.method.Sign(signed, c.private)
	if err != nil {
		c.t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

// proof signs a header and claims.
func (c *client) proof(header, claims members) string {
	c.t.Helper()
	h, errH := json.Marshal(header)
	p, errP := json.Marshal(claims)
	if errH != nil || errP != nil {
		c.t.Fatal(errH, errP)
	}
	return c.sign(string(h), string(p))
}

// goodClaims are the claims of a valid proof for GET target.
func goodClaims() members {
	return members{"jti": rand.Text(), "htm": "GET", "htu": target, "iat": start.Unix(), "ath": hashOf(access)}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request returns a request with the proofs.
func request(method, url string, proofs ...string) *http.Request {
	r := httptest.NewRequest(method, url, nil)
	for _, proof := range proofs {
		r.Header.Add(dpop.Header, proof)
	}
	return r
}

// isRefused checks the error code and what its text says.
func isRefused(t testing.TB, name string, err error, code oauth.ErrorCode, says string) {
	t.Helper()
	var protocol *oauth.Error
	if !errors.As(err, &protocol) || protocol.Code != code || !strings.Contains(protocol.Description, says) {
		t.Errorf("%s: %v, want %s that says %q", name, err, code, says)
	}
}

// A proof of each algorithm is accepted, and its key has the thumbprint of RFC 7638.
func TestAlgorithms(t *testing.T) {
	for _, algorithm := range dpop.Algorithms {
		s, c := newServer(t, base, ""), newClient(t, algorithm)
		got, err := s.use(t, request("GET", target+"?page=2", c.proof(c.header, goodClaims())))
		if err != nil || got.Thumbprint != c.thumbprint() || got.Nonce != "" {
			t.Errorf("%s: %+v, %v", algorithm, got, err)
		}
	}
}

// example is the proof of RFC 9449 section 4.1, and exampleTime when it was made.
const example = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUk" +
	"RZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNyd" +
	"iI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGU" +
	"uY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-F" +
	"NyJK70nfbV37xRZT3Lg"

var exampleTime = time.Unix(1562262616, 0)

// The proof of RFC 9449 section 4.1 is accepted at its time.
func TestExampleOfTheRFC(t *testing.T) {
	s := newServer(t, "https://server.example.com", "")
	s.now = exampleTime
	got, err := s.Check(request("POST", "https://server.example.com/token", example), "")
	if err != nil || got.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" { // of section 6.1
		t.Errorf("%+v, %v", got, err)
	}
}

// Each part of a proof must be there and right (RFC 9449 section 4.3).
func TestInvalidProofs(t *testing.T) {
	c := newClient(t, "ES256")
	good, h := goodClaims(), c.header
	private := jwkOf(t, c.private)
	x, _ := jwkOf(t, c.private.Public())["x"].(string)
	brokenX := x[:8] + "\n" + x[8:]
	hmac := &client{t, nil, hmacMethod{}, nil}
	for _, tt := range []struct{ name, says, proof string }{
		{"empty", "not a signed JWT", ""},
		{"no JWT", "not a signed JWT", "hunter2"},
		{"four parts", "not a signed JWT", c.proof(h, good) + ".x"},
		{"no signature", "not a signed JWT", strings.TrimRight(c.proof(h, good), "-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")},
		{"line break", "not a signed JWT", strings.Replace(c.proof(h, good), ".", ".\n", 1)},
		{"two proofs in one header", "not a signed JWT", c.proof(h, good) + ", " + c.proof(h, goodClaims())},
		{"too long", "too long", c.proof(h, good.with("x", strings.Repeat("x", dpop.MaxLength)))},
		{"header is no object", "header of the proof", c.sign(`[]`, `{}`)},
		{"claims are no object", "claims", c.sign(marshal(t, h), `"x"`)},
		{"claim repeated", "claims", c.sign(marshal(t, h), strings.Replace(marshal(t, good), "{", `{"htm":"GET",`, 1))},

		{"typ missing", "typ", c.proof(h.with("typ", nil), good)},
		{"typ of another token", "typ", c.proof(h.with("typ", "JWT"), good)},
		{"typ of the wrong type", "header", c.proof(h.with("typ", 1), good)},
		{"alg missing", "alg", c.proof(h.with("alg", nil), good)},
		{"alg none", "alg", c.proof(h.with("alg", "none"), good)},
		{"alg HS256", "alg", hmac.proof(h.with("alg", "HS256"), good)},
		{"alg of another key", "jwk", c.proof(h.with("alg", "RS256"), good)},
		{"crit", "crit", c.proof(h.with("crit", []string{"b64"}), good)},
		{"jwk missing", "jwk", c.proof(h.with("jwk", nil), good)},
		{"jwk of the wrong type", "jwk", c.proof(h.with("jwk", "x"), good)},
		{"jwk is private", "private", c.proof(h.with("jwk", private), good)},
		{"jwk is a secret", "private", c.proof(h.with("jwk", members{"kty": "oct", "k": "AAAA"}), good)},
		{"jwk not on the curve", "jwk", c.proof(h.with("jwk", jwkOf(t, c.private.Public()).with("x", hashOf("x"))), good)},
		{"jwk with a short coordinate", "jwk", c.proof(h.with("jwk", jwkOf(t, c.private.Public()).with("x", "AAAA")), good)},
		{"jwk with a line break", "jwk", c.proof(h.with("jwk", jwkOf(t, c.private.Public()).with("x", brokenX)), good)},
		{"jwk of another key", "signature", c.proof(h.with("jwk", jwkOf(t, newClient(t, "ES256").private.Public())), good)},

		{"jti missing", "jti", c.proof(h, good.with("jti", nil))},
		{"jti too long", "jti", c.proof(h, good.with("jti", strings.Repeat("x", 256)))},
		{"jti of the wrong type", "claims", c.proof(h, good.with("jti", 1))},
		{"htm missing", "htm", c.proof(h, good.with("htm", nil))},
		{"another method", "htm", c.proof(h, good.with("htm", "POST"))},
		{"method in lower case", "htm", c.proof(h, good.with("htm", "get"))},
		{"htu missing", "htu", c.proof(h, good.with("htu", nil))},
		{"htu is a path", "htu", c.proof(h, good.with("htu", "/items/1"))},
		{"another path", "htu", c.proof(h, good.with("htu", base+"/items/2"))},
		{"another host", "htu", c.proof(h, good.with("htu", "https://other.example/items/1"))},
		{"another scheme", "htu", c.proof(h, good.with("htu", "http://api.example/items/1"))},
		{"another port", "htu", c.proof(h, good.with("htu", "https://api.example:8443/items/1"))},
		{"htu with a user", "htu", c.proof(h, good.with("htu", "https://x@api.example/items/1"))},
		{"iat missing", "iat", c.proof(h, good.with("iat", nil))},
		{"iat of the wrong type", "claims", c.proof(h, good.with("iat", "1"))},
		{"iat out of range", "iat", c.proof(h, good.with("iat", 1e300))},
		{"iat too old", "long ago", c.proof(h, good.with("iat", start.Add(-61*time.Second).Unix()))},
		{"iat in the future", "future", c.proof(h, good.with("iat", start.Add(6*time.Second).Unix()))},
		{"ath missing", "ath", c.proof(h, good.with("ath", nil))},
		{"ath of another token", "ath", c.proof(h, good.with("ath", hashOf("another token")))},
	} {
		_, err := newServer(t, base, "").Check(request("GET", target, tt.proof), access)
		isRefused(t, tt.name, err, oauth.CodeInvalidDPoPProof, tt.says)
	}
	_, err := newServer(t, base, "").Check(request("GET", target), access)
	isRefused(t, "no header", err, oauth.CodeInvalidDPoPProof, "missing")
	_, err = newServer(t, base, "").Check(request("GET", target, c.proof(h, good), c.proof(h, goodClaims())), access)
	isRefused(t, "two headers", err, oauth.CodeInvalidDPoPProof, "more than one")
}

// hmacMethod signs with the public key as the secret, as attackers try.
type hmacMethod struct{ jwt.SigningMethod }

func (hmacMethod) Sign(signed string, _ any) ([]byte, error) {
	return jwt.SigningMethodHS256.Sign(signed, []byte("secret"))
}

func marshal(t testing.TB, m members) string {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// RSA keys that are weak, or slow on purpose, are refused.
func TestRSAKeys(t *testing.T) {
	c := newClient(t, "RS256")
	jwk := jwkOf(t, c.private.Public())
	for name, bad := range map[string]members{
		"exponent 3":      jwk.with("e", "Aw"),
		"even exponent":   jwk.with("e", "AQAA"),
		"1024 bits":       jwk.with("n", strings.Repeat("_", 170)+"w"),
		"8192 bits":       jwk.with("n", strings.Repeat("_", 1365)+"w"),
		"leading zero":    jwk.with("n", "AA"+strings.Repeat("_", 340)),
		"no modulus":      jwk.with("n", nil),
		"another kty":     jwk.with("kty", "EC"),
		"private members": jwk.with("dp", "AAAA"),
	} {
		proof := c.proof(c.header.with("jwk", bad), goodClaims())
		_, err := newServer(t, base, "").Check(request("GET", target, proof), access)
		isRefused(t, name, err, oauth.CodeInvalidDPoPProof, "jwk")
	}
}

// A proof is used once. Another client may use the same jti.
func TestReplay(t *testing.T) {
	s, c, other := newServer(t, base, ""), newClient(t, "ES256"), newClient(t, "EdDSA")
	claims := goodClaims()
	if _, err := s.use(t, request("GET", target, other.proof(other.header, claims))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.use(t, request("GET", target, c.proof(c.header, claims))); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := s.use(t, request("GET", target, c.proof(c.header, claims)))
		isRefused(t, "again", err, oauth.CodeInvalidDPoPProof, "used before")
		s.now = s.now.Add(20 * time.Second)
	}
}
