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
	"time"

	"github.com/go-jose/go-jose/v4"
)

// minRSA is the minimum size of an RSA key, in bits (RFC 7518 section 3.3), generatedRSA the size of
// new ones.
const (
	minRSA       = 2048
	generatedRSA = 3072
)

// material is the cryptographic part of a key: a secret, or a public key with or without its private
// half.
type material struct {
	secret  []byte
	private crypto.Signer
	public  crypto.PublicKey
}

// materialOf returns the material of a parsed JWK and the algorithm that goes with its type.
func materialOf(key any) (algorithm string, m material, err error) {
	switch k := key.(type) {
	case []byte:
		return HS256, material{secret: k}, nil
	case ed25519.PrivateKey:
		return EdDSA, material{private: k, public: k.Public()}, nil
	case ed25519.PublicKey:
		return EdDSA, material{public: k}, nil
	case *ecdsa.PrivateKey:
		return ES256, material{private: k, public: &k.PublicKey}, checkCurve(&k.PublicKey)
	case *ecdsa.PublicKey:
		return ES256, material{public: k}, checkCurve(k)
	case *rsa.PrivateKey:
		return RS256, material{private: k, public: &k.PublicKey}, checkRSA(&k.PublicKey)
	case *rsa.PublicKey:
		return RS256, material{public: k}, checkRSA(k)
	}
	return "", material{}, fmt.Errorf("%w: its type is not supported", ErrBadRing)
}

func checkCurve(k *ecdsa.PublicKey) error {
	if k.Curve != elliptic.P256() {
		return fmt.Errorf("%w: its curve is not P-256", ErrBadRing)
	}
	return nil
}

func checkRSA(k *rsa.PublicKey) error {
	if k.N.BitLen() < minRSA {
		return fmt.Errorf("%w: it is an RSA key of %d bits, RS256 needs %d", ErrWeakKey, k.N.BitLen(), minRSA)
	}
	return nil
}

// Public returns a JWK Set of the public halves of the keys that verify at now, with their schedule.
// Shared secrets are left out.
func (r *Ring) Public(now time.Time) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range r.keys {
		if k.public == nil || !k.verifiesAt(now) {
			continue
		}
		half, err := publicHalf(k)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, half)
	}
	return json.Marshal(set)
}

// publicHalf returns the public half of a key that has one, with its schedule.
func publicHalf(k *Key) (json.RawMessage, error) {
	members, err := membersOf(jose.JSONWebKey{Key: k.public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	if err != nil {
		return nil, err
	}
	for name, at := range map[string]time.Time{"nbf": k.SignsFrom, "exp": k.VerifiesUntil} {
		if !at.IsZero() {
			members[name] = at.Unix()
		}
	}
	if k.Audience != "" {
		members["aud"] = k.Audience
	}
	return json.Marshal(members)
}

// membersOf returns the JSON members of a JWK, so that others can be added.
func membersOf(jwk jose.JSONWebKey) (map[string]any, error) {
	text, err := json.Marshal(jwk)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	return members, json.Unmarshal(text, &members)
}

// ParsePublic is like Parse for a published set: a shared secret or a private key in it is ErrBadRing,
// since it is no longer secret.
func ParsePublic(data []byte) (*Ring, error) {
	ring, err := Parse(data)
	if err != nil {
		return nil, err
	}
	for i, k := range ring.keys {
		if k.SigningKey() != nil {
			return nil, fmt.Errorf("key %d of %d: %w: it is not a public key", i+1, len(ring.keys), ErrBadRing)
		}
	}
	return ring, nil
}

// Generate returns a JWK Set with one new key for the algorithm, which signs from now on, as indented
// JSON that ends in a newline. Randomness comes from random, which should be crypto/rand.Reader.
func Generate(algorithm string, now time.Time, random io.Reader) ([]byte, error) {
	key, err := newKey(algorithm, "", now, random)
	if err != nil {
		return nil, err
	}
	return writeSet(nil, key)
}

// newKey generates a key, bound to the audience unless that is empty, and returns its JWK.
func newKey(algorithm, audience string, now time.Time, random io.Reader) (json.RawMessage, error) {
	jwk := jose.JSONWebKey{Algorithm: algorithm, Use: "sig"}
	var err error
	if jwk.Key, err = generateKey(algorithm, random); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if jwk.KeyID, err = keyID(jwk); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	key, err := json.Marshal(jwk)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(key, &members); err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	members["nbf"] = now.Unix()
	if audience != "" {
		members["aud"] = audience
	}
	return json.Marshal(members)
}

// writeSet returns a JWK Set of the keys and the other members of doc.
func writeSet(doc map[string]json.RawMessage, keys ...json.RawMessage) ([]byte, error) {
	all := map[string]any{}
	for name, text := range doc {
		all[name] = text
	}
	all["keys"] = keys
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing a JWK Set: %w", err)
	}
	return append(data, '\n'), nil
}

func generateKey(algorithm string, random io.Reader) (any, error) {
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
		return rsa.GenerateKey(random, generatedRSA)
	}
	return nil, fmt.Errorf("%q is not one of %v", algorithm, Algorithms)
}

// keyID returns the kid of a new key: its thumbprint (RFC 7638), or for a secret, whose thumbprint
// should not be published, secretID.
func keyID(jwk jose.JSONWebKey) (string, error) {
	if secret, ok := jwk.Key.([]byte); ok {
		return secretID(secret), nil
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// Add generates a key bound to the audience. It returns the set with the key added, and a set of only
// that key for the API. The other keys are unchanged. The error is ErrBadRing if the set is not
// valid or has a key for the audience that is not retired, or if the audience is empty.
func Add(set []byte, algorithm, audience string, now time.Time, random io.Reader) (ring, single []byte, err error) {
	old, doc, keys, err := openSet(set)
	if err != nil {
		return nil, nil, err
	}
	if audience == "" {
		return nil, nil, fmt.Errorf("%w: the audience of the key is not named", ErrBadRing)
	}
	if old.hasKeyFor(audience) {
		return nil, nil, fmt.Errorf("%w: it has a key for %s already", ErrBadRing, audience)
	}
	key, err := newKey(algorithm, audience, now, random)
	if err != nil {
		return nil, nil, err
	}
	if ring, err = writeSet(doc, append(keys, key)...); err != nil {
		return nil, nil, err
	}
	single, err = writeSet(nil, key)
	return ring, single, err
}
