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

// minRSA is the least size of an RSA key, in bits (RFC 7518 §3.3); generatedRSA is
// that of new ones.
const (
	minRSA       = 2048
	generatedRSA = 3072
)

// material is what a key is made of: a secret, or a public key with or without its
// private half.
type material struct {
	secret  []byte
	private crypto.Signer
	public  crypto.PublicKey
}

// materialOf sorts a key of a JWK Set by its kind, and tells the one algorithm it is
// for.
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
	return "", material{}, fmt.Errorf("%w: its kind is not one that signs tokens here", ErrBadRing)
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

// Public returns the JWK Set of the public halves of the keys that verify at now, with
// their schedule. A shared secret has none and is never in it.
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

// publicHalf writes the public half of a key that has one, with its schedule.
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

// membersOf returns a key as the members of its JSON, to which others can be added.
func membersOf(jwk jose.JSONWebKey) (map[string]any, error) {
	text, err := json.Marshal(jwk)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	return members, json.Unmarshal(text, &members)
}

// ParsePublic is Parse for a set that came over a network: a shared secret or a private
// key in it is ErrBadRing, since it would be known to everybody by now.
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

// Generate makes a JWK Set with one new key for the algorithm that signs from now on,
// and returns it as indented JSON that ends in a newline. Randomness comes from random,
// which should be crypto/rand.Reader.
func Generate(algorithm string, now time.Time, random io.Reader) ([]byte, error) {
	key, err := newKey(algorithm, "", now, random)
	if err != nil {
		return nil, err
	}
	return writeSet(nil, key)
}

// newKey makes a key and returns its JWK; an audience ties it to that API.
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

// writeSet writes a JWK Set of these keys and, beside them, the other members of doc.
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

// keyID names a key: by its thumbprint (RFC 7638), or, for a secret, whose thumbprint
// should not be published, as FromSecret does.
func keyID(jwk jose.JSONWebKey) (string, error) {
	if secret, ok := jwk.Key.([]byte); ok {
		return secretID(secret), nil
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// Add makes a new key for the tokens of one API, and returns the JWK Set given with the
// key added, and a set of that key alone for the API. Other keys keep their text. The
// error is ErrBadRing if the set is not one, or has a key for the API that is not
// retired, or if no API is named.
func Add(set []byte, algorithm, audience string, now time.Time, random io.Reader) (ring, single []byte, err error) {
	old, doc, keys, err := open(set)
	if err != nil {
		return nil, nil, err
	}
	if audience == "" {
		return nil, nil, fmt.Errorf("%w: the API that the key is for is not named", ErrBadRing)
	}
	if old.tiedTo(audience) {
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
