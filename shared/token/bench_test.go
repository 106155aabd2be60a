package token_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/token"
)

// BenchmarkBareHMAC is the lower bound: one HMAC over the bytes of the token of the other benchmarks.
func BenchmarkBareHMAC(b *testing.B) {
	raw := sign(b, goodRing(b), goodClaims())
	input, key := []byte(raw[:strings.LastIndexByte(raw, '.')]), []byte(secret)
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, key)
		mac.Write(input)
		mac.Sum(nil)
	}
}

func BenchmarkSign(b *testing.B) {
	signer := &token.Signer{Keys: goodRing(b), Now: func() time.Time { return start }}
	claims := goodClaims()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign(claims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyCached(b *testing.B) { benchmarkVerify(b, 0) }

func BenchmarkVerifyUncached(b *testing.B) { benchmarkVerify(b, -1) }

func benchmarkVerify(b *testing.B, cacheSize int) {
	v := verifier(b, func(cfg *token.VerifierConfig) { cfg.CacheSize = cacheSize })
	raw := sign(b, goodRing(b), goodClaims())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyCachedParallel shows the cost of the cache's lock on all cores.
func BenchmarkVerifyCachedParallel(b *testing.B) {
	v := verifier(b, nil)
	raw := sign(b, goodRing(b), goodClaims())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), raw); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
