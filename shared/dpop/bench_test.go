package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

// BenchmarkBareES256 verifies one signature, which is most of what a proof costs.
func BenchmarkBareES256(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte(target))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s, c := newServer(b, base, secret), newClient(b, "ES256")
	r := request("GET", target, c.proof(c.header, goodClaims().with("nonce", s.Nonce())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check(r, access); err != nil {
			b.Fatal(err)
		}
	}
}
