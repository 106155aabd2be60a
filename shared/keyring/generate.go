package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Generate returns a JWK Set with one new key for the algorithm, which signs from now on. The set is
// indented JSON that ends in a newline. Randomness comes from random, which should be
// crypto/rand.Reader.
func Generate(algorithm string, now time.Time, random io.Reader) ([]byte, error) {
	key, err := newKey(algorithm, "", now, random)
	if err != nil {
		return nil, err
	}
	return writeSet(nil, key)
}

// newKey generates a key that is bound to the audience, unless that is empty, and returns its JWK.
func newKey(algorithm, audience string, now time.Time, random io.Reader) (json.RawMessage, error) {
	jwk := jose.JSONWebKey{Algorithm: algorithm, Use: "sig"}
	var err error
	bits := generatedRSA
	if strings.HasPrefix(audience, idTokenAudience) {
		bits = idTokenRSA
	}
	if jwk.Key, err = generateKey(algorithm, bits, random); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if jwk.KeyID, err = keyID(jwk); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	members, err := membersOf(jwk)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	members["nbf"] = now.Unix()
	if audience != "" {
		members["aud"] = audience
	}
	return json.Marshal(members)
}

// generateKey generates a key. An RSA key has the given number of bits.
func generateKey(algorithm string, bits int, random io.Reader) (any, error) {
	switch algorithm {
	case HS256:
		secret := make([]byte, MinSecret)
		_, err := io.ReadFull(random, secret)
		return secret, err
	case EdDSA:
		seed := make([]byte, ed25519.SeedSize)
		_, err := io.ReadFull(random, seed)
		return ed25519.NewKeyFromSeed(seed), err
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), random)
	case RS256:
		return rsa.GenerateKey(random, bits)
	}
	return nil, fmt.Errorf("%q is not one of %v", algorithm, Algorithms)
}

// keyID returns the kid of a new key: its thumbprint (RFC 7638), or secretID for a secret, whose
// thumbprint should not be published.
func keyID(jwk jose.JSONWebKey) (string, error) {
	if secret, ok := jwk.Key.([]byte); ok {
		return secretID(secret), nil
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}
