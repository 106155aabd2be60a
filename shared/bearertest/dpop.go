package bearertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// Key is the key of a client that uses DPoP (RFC 9449). It makes the proofs.
type Key struct{ *dpop.Signer }

// NewKey returns a random key.
func NewKey(t testing.TB) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := dpop.NewSigner(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Key{signer}
}

// BoundToken returns a valid token of the user john.doe with the scopes. It is bound to the key.
func (i *Issuer) BoundToken(key *Key, scopes ...string) string {
	i.t.Helper()
	claims := i.Claims(scopes...)
	claims.KeyThumbprint = key.Thumbprint()
	return i.Sign(claims)
}

// Nonce returns a nonce that Guard accepts in a proof.
func (i *Issuer) Nonce() string { return dpop.NoncesOf(i.ring, Audience).New(time.Now()) }

// Authorize sets the headers of a request with a bound token: the token, and a proof that Guard accepts once, for the
// path of the request at Audience.
func (i *Issuer) Authorize(r *http.Request, key *Key, bound string) {
	i.t.Helper()
	proof, err := key.Proof(r.Method, Audience+r.URL.EscapedPath(), bound, i.Nonce())
	if err != nil {
		i.t.Fatal(err)
	}
	r.Header.Set("Authorization", dpop.Scheme+" "+bound)
	r.Header.Set(dpop.Header, proof)
}
