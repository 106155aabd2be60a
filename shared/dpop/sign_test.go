package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// The proofs of a Signer are accepted, each once.
func TestSigner(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dpop.NewSigner(key, func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, base, secret)
	for range 3 {
		r := httptest.NewRequest("GET", target+"?page=2", nil)
		if err := signer.Authorize(r, access, s.Nonce()); err != nil {
			t.Fatal(err)
		}
		if got, err := s.use(t, r); err != nil || got.Thumbprint != signer.Thumbprint() {
			t.Errorf("%+v, %v", got, err)
		}
		if got := r.Header.Get("Authorization"); got != "DPoP "+access {
			t.Errorf("Authorization: %s", got)
		}
	}
	proof, err := signer.Proof("GET", target, "", s.Nonce())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(request("GET", target, proof), ""); err != nil {
		t.Errorf("without an access token: %v", err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dpop.NewSigner(large, nil); err == nil {
		t.Error("a key on P-384 is accepted")
	}
}
