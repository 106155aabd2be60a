package e2e_test

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// forger makes tokens with the key of the system that the authorization server would never
// issue.
type forger struct {
	key    *keyring.Key
	claims jwt.MapClaims // of a valid token
}

// newForger returns a forger that starts with the claims of a valid token.
func newForger(t *testing.T, s *system, valid string) *forger {
	t.Helper()
	keys, err := keyring.Open(s.keysFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Current().Signer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(valid, claims); err != nil {
		t.Fatal(err)
	}
	return &forger{key: key, claims: claims}
}

// changed returns the claims of a valid token with changes. The value nil removes a claim.
func (f *forger) changed(changes map[string]any) jwt.MapClaims {
	claims := maps.Clone(f.claims)
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// with returns a token with changed claims, signed with the right key and algorithm.
func (f *forger) with(t *testing.T, changes map[string]any) string {
	t.Helper()
	return f.sign(t, jwt.SigningMethodHS256, f.key.Secret(), f.changed(changes))
}

// sign signs claims with the header of a valid token.
func (f *forger) sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["typ"] = "at+jwt"
	token.Header["kid"] = f.key.ID
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// rsaKey returns a new key.
func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
