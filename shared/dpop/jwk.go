package dpop

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Limits on the size of an RSA key, in bits (RFC 7518 section 3.3). The upper one limits the time of a verification.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// rsaExponent is the only accepted public exponent: 65537, in base64url.
const rsaExponent = "AQAB"

// coordinate is the size of a coordinate of P-256, and of an Ed25519 public key, in bytes.
const coordinate = 32

// base64url is the encoding of JWTs and JWKs (RFC 7515 section 2). Unused bits at the end must be zero.
var base64url = base64.RawURLEncoding.Strict()

// decode decodes base64url text that comes from a client, and does not ignore line breaks as the decoder does.
func decode(text string) ([]byte, error) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return base64url.DecodeString(text)
}

// jwk is a JSON Web Key (RFC 7517; RFC 7518 section 6). Other members are ignored.
type jwk struct {
	Type  string `json:"kty"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
	N     string `json:"n"`
	E     string `json:"e"`

	// Members of private and symmetric keys.
	D     json.RawMessage `json:"d"`
	P     json.RawMessage `json:"p"`
	Q     json.RawMessage `json:"q"`
	DP    json.RawMessage `json:"dp"`
	DQ    json.RawMessage `json:"dq"`
	QI    json.RawMessage `json:"qi"`
	Other json.RawMessage `json:"oth"`
	K     json.RawMessage `json:"k"`
	Priv  json.RawMessage `json:"priv"`
}

// isPrivate reports whether the key has a member that only the client may know.
func (k *jwk) isPrivate() bool {
	for _, member := range []json.RawMessage{k.D, k.P, k.Q, k.DP, k.DQ, k.QI, k.Other, k.K, k.Priv} {
		if member != nil {
			return true
		}
	}
	return false
}

// publicKey is a key that verifies proofs.
type publicKey struct {
	key        any // for method
	method     jwt.SigningMethod
	thumbprint string
}

// errKey is the error for a JWK that cannot be used.
var errKey = errInvalid.Describe("jwk is not a public key for alg: P-256 for ES256, Ed25519 for EdDSA, " +
	"RSA of 2048 to 4096 bits for RS256 and PS256")

// public returns the key for an algorithm, which is one of Algorithms.
func (k *jwk) public(algorithm string) (publicKey, error) {
	if k.isPrivate() {
		return publicKey{}, errInvalid.Describe("jwk has a private key: send only the public half, and replace this key")
	}
	switch algorithm {
	case "ES256":
		return k.p256()
	case "RS256", "PS256":
		return k.rsa(algorithm)
	}
	return k.ed25519()
}

// p256 returns a key for ES256.
func (k *jwk) p256() (publicKey, error) {
	x, errX := decode(k.X)
	y, errY := decode(k.Y)
	if k.Type != "EC" || k.Curve != "P-256" || errX != nil || errY != nil || len(x) != coordinate || len(y) != coordinate {
		return publicKey{}, errKey
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil { // the point is not on the curve
		return publicKey{}, errKey
	}
	members := `{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`
	return publicKey{key, jwt.SigningMethodES256, thumbprint(members)}, nil
}

// ed25519 returns a key for EdDSA.
func (k *jwk) ed25519() (publicKey, error) {
	x, err := decode(k.X)
	if k.Type != "OKP" || k.Curve != "Ed25519" || err != nil || len(x) != coordinate {
		return publicKey{}, errKey
	}
	members := `{"crv":"Ed25519","kty":"OKP","x":"` + k.X + `"}`
	return publicKey{ed25519.PublicKey(x), jwt.SigningMethodEdDSA, thumbprint(members)}, nil
}

// rsa returns a key for RS256 or PS256.
func (k *jwk) rsa(algorithm string) (publicKey, error) {
	n, err := decode(k.N)
	if k.Type != "RSA" || k.E != rsaExponent || err != nil || len(n) == 0 || n[0] == 0 {
		return publicKey{}, errKey
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return publicKey{}, errKey
	}
	members := `{"e":"` + k.E + `","kty":"RSA","n":"` + k.N + `"}`
	return publicKey{key, jwt.GetSigningMethod(algorithm), thumbprint(members)}, nil
}

// thumbprint returns the JWK SHA-256 thumbprint over the required members of a key, in their order (RFC 7638 section
// 3). Strict base64url and fixed sizes ensure that each key has only one encoding.
func thumbprint(members string) string {
	sum := sha256.Sum256([]byte(members))
	return base64url.EncodeToString(sum[:])
}
