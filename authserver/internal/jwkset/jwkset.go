// Package jwkset reads the public keys of others: of clients that sign assertions, and of trusted
// issuers (RFC 7517). The server's own keys are in package keyring.
package jwkset

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // compares names exactly, and refuses repeated members
)

// Errors about JWK Sets.
var (
	// ErrBad is returned for a JWK Set that cannot be used. The text says why, without the keys.
	ErrBad = errors.New("JWK Set not usable")
	// ErrNoKey is returned if no key of a set, or more than one, can have made a signature.
	ErrNoKey = errors.New("no key")
)

// Algorithms are the accepted signature algorithms: those of RFC 7518 and RFC 8037 that need no
// shared secret.
var Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// AlgorithmNames returns the names of Algorithms.
func AlgorithmNames() []string {
	var names []string
	for _, a := range Algorithms {
		names = append(names, string(a))
	}
	return names
}

// Bounds of a JWK Set and its keys.
const (
	// MaxBytes bounds a JWK Set, in bytes.
	MaxBytes   = 64 << 10
	maxKeys    = 100
	minRSABits = 2048 // RFC 7518 section 3.3
	maxRSABits = 8192
	minRSAExp  = 65537 // NIST FIPS 186-5
)

// Set is a JWK Set. It is immutable.
type Set struct {
	keys []jose.JSONWebKey
}

// Parse parses a JWK Set. Keys that are not for signatures, or are weak, are left out (RFC 7517
// section 5). It is an error if none is left, and if a key is private or a shared secret: then
// others can have read it.
func Parse(data []byte) (Set, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(data) > MaxBytes {
		return Set{}, fmt.Errorf("%w: it is larger than %d bytes", ErrBad, MaxBytes)
	}
	if json.Unmarshal(data, &doc) != nil || doc.Keys == nil {
		return Set{}, fmt.Errorf(`%w: it must be a JSON object with the member "keys"`, ErrBad)
	}
	if len(doc.Keys) > maxKeys {
		return Set{}, fmt.Errorf("%w: it has more than %d keys", ErrBad, maxKeys)
	}
	var set Set
	why := ""
	for i, text := range doc.Keys {
		if isPrivate(text) {
			return Set{}, fmt.Errorf("%w: key %d is private: give only the public half, and replace this key", ErrBad, i+1)
		}
		key, err := parseKey(text)
		if err != nil {
			why += fmt.Sprintf("; key %d %v", i+1, err)
			continue
		}
		set.keys = append(set.keys, key)
	}
	if len(set.keys) == 0 {
		return Set{}, fmt.Errorf("%w: it has no key that can verify a signature%s", ErrBad, why)
	}
	return set, nil
}

// isPrivate reports whether a JWK has a private or secret member (RFC 7518 section 6).
func isPrivate(text []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return false
	}
	for _, name := range []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"} {
		if _, ok := members[name]; ok {
			return true
		}
	}
	return false
}

// parseKey parses a public key. The error continues a sentence about it.
func parseKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if json.Unmarshal(text, &key) != nil || !key.Valid() {
		return key, errors.New("is malformed or of an unknown type")
	}
	if key.Use != "" && key.Use != "sig" {
		return key, errors.New(`has a "use" other than sig`)
	}
	if key.Algorithm != "" && !slices.Contains(Algorithms, jose.SignatureAlgorithm(key.Algorithm)) {
		return key, errors.New("is for another algorithm")
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key, fmt.Errorf("is an RSA key of %d bits, and must have %d to %d", bits, minRSABits, maxRSABits)
		}
		if public.E < minRSAExp || public.E%2 == 0 {
			return key, fmt.Errorf("is an RSA key with the exponent %d, and must have %d or a larger odd one",
				public.E, minRSAExp)
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return key, fmt.Errorf("is on the curve %s, and must be on P-256", public.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return key, errors.New("is of an unknown type")
	}
	if key.Algorithm != "" && !fits(key, jose.SignatureAlgorithm(key.Algorithm)) {
		return key, errors.New("has an algorithm that does not fit its type")
	}
	return key, nil
}

// fits reports whether a key can verify signatures of an algorithm.
func fits(key jose.JSONWebKey, algorithm jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return algorithm == jose.RS256 || algorithm == jose.PS256
	case *ecdsa.PublicKey:
		return algorithm == jose.ES256
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA
	}
	return false
}

// Find returns the key for a signature. Without a kid there must be only one that fits (OpenID
// Connect Core section 10.1). The error is ErrNoKey.
func (s Set) Find(kid string, algorithm jose.SignatureAlgorithm) (any, error) {
	var found []any
	for _, key := range s.keys {
		if (kid == "" || key.KeyID == kid) && fits(key, algorithm) {
			found = append(found, key.Key)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && kid != "":
		return nil, fmt.Errorf("%w has the kid and the algorithm of the header", ErrNoKey)
	case len(found) == 0:
		return nil, fmt.Errorf("%w has the algorithm of the header", ErrNoKey)
	case kid != "":
		return nil, fmt.Errorf("%w: several have the same kid", ErrNoKey)
	}
	return nil, fmt.Errorf("%w can be chosen: the header has no kid, and several keys fit", ErrNoKey)
}
