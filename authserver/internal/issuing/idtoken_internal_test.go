package issuing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// idTokenService returns a service with a key for ID tokens of an algorithm.
func idTokenService(b *testing.B, algorithm string) *Service {
	b.Helper()
	now := time.Now()
	set, err := keyring.Generate(keyring.HS256, now, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	if set, _, err = keyring.AddIDTokenKey(set, algorithm, now, rand.Reader); err != nil {
		b.Fatal(err)
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		b.Fatal(err)
	}
	return &Service{cfg: Config{
		Issuer: "https://login.example", Lifetime: time.Hour, Now: time.Now,
		Signer: &token.Signer{Keys: ring, Audience: "https://api.example", Now: time.Now},
	}}
}

// issueIDToken returns the ID token of a login.
func issueIDToken(b *testing.B, s *Service, algorithm string) string {
	b.Helper()
	r, err := s.withIDToken(oauth.TokenResponse{AccessToken: strings.Repeat("x", 600)}, idToken{
		client: client.Client{ID: "app", IDTokenAlgorithm: algorithm},
		user:   account.User{ID: "usr_1", Username: "john.doe", Name: "John Doe", Email: "john@example.com"},
		scope:  oauth.Scope{"openid", "profile", "email"},
		login:  grant.Authentication{At: time.Now(), Methods: []string{"pwd"}, SessionID: "session"},
		nonce:  "nonce",
	})
	if err != nil || r.IDToken == "" {
		b.Fatalf("no ID token: %v", err)
	}
	return r.IDToken
}

// BenchmarkIDToken issues ID tokens.
func BenchmarkIDToken(b *testing.B) {
	for _, algorithm := range keyring.IDTokenAlgorithms {
		b.Run(algorithm, func(b *testing.B) {
			s := idTokenService(b, algorithm)
			b.ReportAllocs()
			for b.Loop() {
				issueIDToken(b, s, algorithm)
			}
		})
	}
}

// BenchmarkBareSignature is the lower bound: one signature over the bytes of the token of BenchmarkIDToken.
func BenchmarkBareSignature(b *testing.B) {
	for _, algorithm := range keyring.IDTokenAlgorithms {
		b.Run(algorithm, func(b *testing.B) {
			s := idTokenService(b, algorithm)
			text := issueIDToken(b, s, algorithm)
			input := []byte(text[:strings.LastIndexByte(text, '.')])
			key, err := s.cfg.Signer.Keys.Current().IDTokenSigner(algorithm, time.Now())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := bareSignature(key.SigningKey(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bareSignature signs as the algorithm of the key says (RFC 7518 sections 3.3 and 3.4, RFC 8037 section 3.1).
func bareSignature(key any, input []byte) (err error) {
	switch key := key.(type) {
	case ed25519.PrivateKey:
		_, err = key.Sign(nil, input, crypto.Hash(0))
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256(input)
		_, _, err = ecdsa.Sign(rand.Reader, key, digest[:])
	case *rsa.PrivateKey:
		digest := sha256.Sum256(input)
		_, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	}
	return err
}
