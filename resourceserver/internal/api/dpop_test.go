package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// dpopRequest is a request with a token that is bound to a key.
type dpopRequest struct {
	method, path string // of the request
	htm, htu     string // of the proof
	nonce        string
}

// doDPoP sends a request. A proof is also returned.
func (s *server) doDPoP(t *testing.T, key *bearertest.Key, access string, r dpopRequest) (response, string) {
	t.Helper()
	proof, err := key.Proof(r.htm, r.htu, access, r.nonce)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r.method, r.path, "Authorization", "DPoP "+access, "DPoP", proof), proof
}

// A proof is for one request to one URL of the API, which is not the address that the server listens at.
func TestDPoP(t *testing.T) {
	s, key := start(t, nil), bearertest.NewKey(t)
	bound := s.issuer.BoundToken(key, "profile", "items:read")
	const me, item = bearertest.Audience + "/users/me", bearertest.Audience + "/items/42"
	good := s.issuer.Nonce()
	for _, tt := range []struct {
		name   string
		r      dpopRequest
		status int
		says   string
	}{
		{"user", dpopRequest{"GET", "/users/me", "GET", me, good}, 200, ""},
		{"item with a query", dpopRequest{"GET", "/items/42?x=1", "GET", item, good}, 200, ""},
		{"HEAD", dpopRequest{"HEAD", "/items/42", "HEAD", item, good}, 200, ""},
		{"HEAD with the proof of a GET", dpopRequest{"HEAD", "/items/42", "GET", item, good}, 401, "htm"},
		{"GET with the proof of a HEAD", dpopRequest{"GET", "/items/42", "HEAD", item, good}, 401, "htm"},
		{"another method", dpopRequest{"GET", "/items/42", "POST", item, good}, 401, "htm"},
		{"another item", dpopRequest{"GET", "/items/43", "GET", item, good}, 401, "htu"},
		{"the address of the listener", dpopRequest{"GET", "/items/42", "GET", s.URL + "/items/42", good}, 401, "htu"},
		{"no nonce", dpopRequest{"GET", "/items/42", "GET", item, ""}, 401, "use_dpop_nonce"},
		{"forged nonce", dpopRequest{"GET", "/items/42", "GET", item, "B" + good[1:]}, 401, "use_dpop_nonce"},
	} {
		got, proof := s.doDPoP(t, key, bound, tt.r)
		challenge := got.Header.Get("WWW-Authenticate")
		if got.StatusCode != tt.status || !strings.Contains(challenge, tt.says) {
			t.Errorf("%s: status %d, challenge %s", tt.name, got.StatusCode, challenge)
		}
		if tt.status == http.StatusOK {
			again := s.do(t, tt.r.method, tt.r.path, "Authorization", "DPoP "+bound, "DPoP", proof)
			if again.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, replayed: status %d", tt.name, again.StatusCode)
			}
		}
	}
	if got := s.do(t, "GET", "/users/me", "Authorization", "Bearer "+bound); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("bound token as Bearer: status %d", got.StatusCode)
	}
}

// A page of an allowed origin may send a proof, and read the nonce.
func TestDPoPFromABrowser(t *testing.T) {
	const app = "https://app.example"
	s, key := start(t, func(cfg *api.Config) { cfg.AllowedOrigins = []string{app} }), bearertest.NewKey(t)
	preflight := s.do(t, http.MethodOptions, "/users/me", "Origin", app,
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,dpop")
	if got := preflight.Header.Get("Access-Control-Allow-Headers"); got != "authorization,dpop" {
		t.Errorf("preflight: Access-Control-Allow-Headers %q", got)
	}
	bound := s.issuer.BoundToken(key, "profile")
	proof, err := key.Proof("GET", bearertest.Audience+"/users/me", bound, "")
	if err != nil {
		t.Fatal(err)
	}
	got := s.do(t, "GET", "/users/me", "Origin", app, "Authorization", "DPoP "+bound, "DPoP", proof)
	exposed := strings.ToLower(got.Header.Get("Access-Control-Expose-Headers"))
	if got.Header.Get("DPoP-Nonce") == "" || !strings.Contains(exposed, "dpop-nonce") {
		t.Errorf("header %v", got.Header)
	}
}

// Whatever is sent as a proof is refused, and not repeated in the response.
func TestBadProofs(t *testing.T) {
	s, key := start(t, nil), bearertest.NewKey(t)
	bound := s.issuer.BoundToken(key, "profile")
	for _, bad := range []string{"", "x", "a.b.c", strings.Repeat("x.", 5000), `<script>"\`, "é"} {
		got := s.do(t, "GET", "/users/me", "Authorization", "DPoP "+bound, "DPoP", url.PathEscape(bad))
		challenge := got.Header.Get("WWW-Authenticate")
		if got.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, "invalid_dpop_proof") {
			t.Errorf("%.20q: status %d, %s", bad, got.StatusCode, challenge)
		}
	}
	many := []string{"Authorization", "DPoP " + bound, "DPoP", "x", "DPoP", "y"}
	if got := s.do(t, "GET", "/users/me", many...); !strings.Contains(got.problem(t).Detail, "more than one") {
		t.Errorf("two proofs: %s", got.body)
	}
}
