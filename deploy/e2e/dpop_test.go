package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// prover sends requests with DPoP proofs.
type prover struct {
	*dpop.Signer
	t *testing.T
}

func newProver(t *testing.T) *prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dpop.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{signer, t}
}

// prove returns the request with a proof for a URL.
func (p *prover) prove(r request, url, access, nonce string) request {
	p.t.Helper()
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	proof, err := p.Proof(method, url, access, nonce)
	if err != nil {
		p.t.Fatal(err)
	}
	r.header = r.header.Clone()
	r.header.Set(dpop.Header, proof)
	return r
}

// login logs a user in with a proof, and returns the bound access token.
func (p *prover) login(s *system) string {
	p.t.Helper()
	r, url := form("username", "john.doe", "password", demoPassword), s.authURL+"/token"
	nonce := send(p.t, s.authURL, p.prove(r, url, "", "")).header.Get(dpop.NonceHeader)
	got := send(p.t, s.authURL, p.prove(r, url, "", nonce))
	if got.status != http.StatusOK || got.text(p.t, "token_type") != dpop.Scheme {
		p.t.Fatalf("%d %s", got.status, got.body)
	}
	return got.text(p.t, "access_token")
}

// Two replicas of an API accept each other's nonces. Each accepts a proof once. Another API, which clients call at an
// address behind a proxy, requires bound tokens.
func TestDPoPReplicas(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	t.Cleanup(func() { checkNoSecrets(t, s.resourceserver) })
	replica := newSystem(t)
	replica.authURL, replica.keysFile = s.authURL, s.keysFile
	address := replica.apiURL // where the replica listens
	replica.apiURL = s.apiURL
	replica.startResourceserver(t, "--require-dpop", "--public-url", s.apiURL)
	p := newProver(t)
	access := p.login(s)
	call := get("/users/me", "DPoP "+access)
	asked := send(t, s.apiURL, p.prove(call, s.apiURL+"/users/me", access, ""))
	challenge := asked.header.Get("WWW-Authenticate")
	if asked.status != http.StatusUnauthorized || !strings.Contains(challenge, "use_dpop_nonce") {
		t.Fatalf("%d %s", asked.status, challenge)
	}
	proved := p.prove(call, s.apiURL+"/users/me", access, asked.header.Get(dpop.NonceHeader))
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		for _, at := range []string{s.apiURL, address} {
			if got := send(t, at, proved); got.status != want {
				t.Errorf("%s: %d %v, want %d", at, got.status, got.header, want)
			}
		}
	}
	for at, want := range map[string]int{s.apiURL: http.StatusOK, address: http.StatusUnauthorized} {
		if got := send(t, at, get("/users/me", "Bearer "+s.login(t, "john.doe", demoPassword))); got.status != want {
			t.Errorf("bearer token at %s: %d %s", at, got.status, got.body)
		}
		if got := send(t, at, get("/users/me", "Bearer "+access)); got.status != http.StatusUnauthorized {
			t.Errorf("bound token as Bearer at %s: %d %s", at, got.status, got.body)
		}
	}
}
