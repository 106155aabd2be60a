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

// forger makes tokens with the system's own key that the authorization server would
// not make.
type forger struct {
	key    *keyring.Key
	claims jwt.MapClaims // of a good token
}

// newForger starts from what a good token says.
func newForger(t *testing.T, s *system, good string) *forger {
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
	if _, _, err := jwt.NewParser().ParseUnverified(good, claims); err != nil {
		t.Fatal(err)
	}
	return &forger{key: key, claims: claims}
}

// changed returns the claims of a good token with some set, or dropped where the
// value is nil.
func (f *forger) changed(changes map[string]any) jwt.MapClaims {
	claims := maps.Clone(f.claims)
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// with returns a token with the right key and algorithm whose claims are changed.
func (f *forger) with(t *testing.T, changes map[string]any) string {
	t.Helper()
	return f.sign(t, jwt.SigningMethodHS256, f.key.Secret(), f.changed(changes))
}

// sign signs claims under the header of a good token.
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

// rsaKey returns a fresh key.
func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
