package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// MinSecret is the least length of a shared secret, in bytes: HS256 needs a key
// of at least the size of its hash (RFC 7518 §3.2).
const MinSecret = 32

// The algorithms of keys. Whoever can verify HS256 can also sign it; of the others a
// verifier needs the public half alone.
const (
	HS256 = "HS256" // HMAC with SHA-256, for shared secrets (RFC 7518 §3.2)
	EdDSA = "EdDSA" // Ed25519 (RFC 8037 §3.1)
	ES256 = "ES256" // ECDSA with P-256 and SHA-256 (RFC 7518 §3.4)
	RS256 = "RS256" // RSA with PKCS #1 v1.5 and SHA-256 (RFC 7518 §3.3)
)

// Algorithms are all of them.
var Algorithms = []string{HS256, EdDSA, ES256, RS256}

// maxKeyID bounds a kid, in bytes.
const maxKeyID = 128

// Errors of reading and using a ring. What is returned wraps one of them, says
// which key is meant, and never holds key material.
var (
	ErrWeakKey  = errors.New("key is too short")
	ErrBadRing  = errors.New("not a usable JWK Set")
	ErrNoSigner = errors.New("no key of the ring may sign now")
)

// errEmpty is the ErrBadRing of a set without a key.
var errEmpty = fmt.Errorf("%w: it holds no keys", ErrBadRing)

// Key is one key of a ring. It is immutable; two lookups that give the same
// pointer mean the same key.
type Key struct {
	// ID is the kid: what a token's header names. It is a lookup and nothing else.
	ID string
	// Algorithm is the one JWS algorithm the key is for (RFC 8725 §3.1).
	Algorithm string
	// Audience is the one API whose tokens the key is for; empty means any.
	Audience string
	// SignsFrom is when the key starts to sign; zero means always.
	SignsFrom time.Time
	// VerifiesUntil is when the key stops to verify; zero means never.
	VerifiesUntil time.Time

	material
	ring *Ring // that it is in
}

// Secret returns the shared secret of an HS256 key, and nil for any other. The caller
// must not change or print it.
func (k *Key) Secret() []byte { return k.secret }

// SigningKey returns what jwt/v5 signs with; nil if the ring has only the public half.
func (k *Key) SigningKey() any {
	if k.secret != nil {
		return k.secret
	}
	return k.private
}

// VerificationKey returns what jwt/v5 verifies with.
func (k *Key) VerificationKey() any {
	if k.secret != nil {
		return k.secret
	}
	return k.public
}

// String returns the key's id, so that a key that ends up in a log line or in an
// error gives nothing away.
func (k *Key) String() string { return "key " + k.ID }

// GoString is String: it keeps the secret out of %#v.
func (k *Key) GoString() string { return k.String() }

// verifiesAt reports whether signatures of k are accepted at now.
func (k *Key) verifiesAt(now time.Time) bool {
	return k.VerifiesUntil.IsZero() || now.Before(k.VerifiesUntil)
}

// signsAt reports whether k may sign at now.
func (k *Key) signsAt(now time.Time) bool {
	return !now.Before(k.SignsFrom) && k.verifiesAt(now) && k.SigningKey() != nil
}

// Ring is a set of keys with their schedule. It is immutable and safe for
// concurrent use.
type Ring struct {
	keys []*Key
	byID map[string]*Key
}

// Source gives the ring to use now. Implementations are safe for concurrent use
// and cheap: they are asked on every request.
type Source interface {
	Current() *Ring
}

// Current returns the ring itself: a Ring is a Source that never changes.
func (r *Ring) Current() *Ring { return r }

// Signer returns the key to sign with at now, of those that are tied to no API, or
// ErrNoSigner.
func (r *Ring) Signer(now time.Time) (*Key, error) {
	return r.latest(now, func(k *Key) bool { return k.Audience == "" })
}

// SignerFor returns the key to sign tokens for an API with at now: one that is tied to
// it if there is one, or else one of which the API has the public half alone. A secret
// that another API shares is never used: that one could forge the tokens. The error is
// ErrNoSigner.
func (r *Ring) SignerFor(audience string, now time.Time) (*Key, error) {
	if k, err := r.latest(now, func(k *Key) bool { return k.Audience != "" && k.Audience == audience }); err == nil {
		return k, nil
	}
	return r.latest(now, func(k *Key) bool { return k.Audience == "" && k.Algorithm != HS256 })
}

// latest returns the key that signs, of those that fit: the one that has begun last, or of
// two that have begun together the one that comes later in the set.
func (r *Ring) latest(now time.Time, fits func(*Key) bool) (*Key, error) {
	var signer *Key
	for _, k := range r.keys {
		if fits(k) && k.signsAt(now) && (signer == nil || !k.SignsFrom.Before(signer.SignsFrom)) {
			signer = k
		}
	}
	if signer == nil {
		return nil, ErrNoSigner
	}
	return signer, nil
}

// Verifier returns the key with the given id, if it verifies at now.
func (r *Ring) Verifier(id string, now time.Time) (*Key, bool) {
	k, ok := r.byID[id]
	if !ok || !k.verifiesAt(now) {
		return nil, false
	}
	return k, true
}

// Verifies reports whether k is a key of this very ring, and verifies at now. It is what
// Verifier would find, without looking for it.
func (r *Ring) Verifies(k *Key, now time.Time) bool { return k.ring == r && k.verifiesAt(now) }

// Len returns the number of keys, whatever their schedule says.
func (r *Ring) Len() int { return len(r.keys) }

// FromSecret makes the ring of a single shared secret: the bytes of the string
// as they are. Fewer than MinSecret bytes are ErrWeakKey. The key's id is
// derived from the secret, so that both tiers give it the same name.
func FromSecret(secret string) (*Ring, error) {
	key := &Key{ID: secretID([]byte(secret)), Algorithm: HS256, material: material{secret: []byte(secret)}}
	return newRing([]*Key{key})
}

// secretID derives a kid from a secret by HMAC, so that it tells no more about
// the secret than any token does.
func secretID(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("hallpass key id"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// document is a JWK Set, each key still as it was written.
type document struct {
	Keys []json.RawMessage `json:"keys"`
}

// target is the member that ties a key to one API.
type target struct {
	Audience string `json:"aud"`
}

// schedule holds the members that Hallpass adds to a JWK (RFC 7517 §4 allows
// additional members), in seconds since 1970; nil where one is absent.
type schedule struct {
	SignsFrom     *int64 `json:"nbf,omitempty"`
	VerifiesUntil *int64 `json:"exp,omitempty"`
}

// maxSeconds is the end of the year 9999: a schedule beyond it was written in
// milliseconds, and far beyond it package time wraps around.
const maxSeconds = 253402300799

// valid reports whether the times can be meant. Zero cannot: an exp that somebody
// left at zero must not read as a key without an end.
func (s schedule) valid() bool {
	for _, t := range []*int64{s.SignsFrom, s.VerifiesUntil} {
		if t != nil && (*t <= 0 || *t > maxSeconds) {
			return false
		}
	}
	return true
}

// Parse reads a JWK Set. Every key must have a kid of its own, be a shared secret of
// at least MinSecret bytes, an Ed25519, a P-256 or an RSA key, whole or its public
// half, and name no algorithm but the one of its kind; an empty set is ErrBadRing.
// Nothing of the file's text is in the error, and so no material.
func Parse(data []byte) (*Ring, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%w: it is not JSON of the form {\"keys\": [...]}", ErrBadRing)
	}
	keys := make([]*Key, 0, len(doc.Keys))
	for i, raw := range doc.Keys {
		key, err := parseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(doc.Keys), err)
		}
		keys = append(keys, key)
	}
	return newRing(keys)
}

func parseKey(raw []byte) (*Key, error) {
	var jwk jose.JSONWebKey
	var times schedule
	var to target
	if json.Unmarshal(raw, &jwk) != nil || json.Unmarshal(raw, &times) != nil || json.Unmarshal(raw, &to) != nil {
		return nil, fmt.Errorf("%w: it is not a JWK, or one of its members has the wrong type", ErrBadRing)
	}
	algorithm, m, err := materialOf(jwk.Key)
	if err != nil {
		return nil, err
	}
	if jwk.Algorithm != "" && jwk.Algorithm != algorithm {
		return nil, fmt.Errorf("%w: its alg is not %s", ErrBadRing, algorithm)
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, fmt.Errorf("%w: its use is not sig", ErrBadRing)
	}
	if !times.valid() {
		return nil, fmt.Errorf("%w: its nbf or exp is not in seconds since 1970", ErrBadRing)
	}
	return &Key{
		ID:            jwk.KeyID,
		Algorithm:     algorithm,
		Audience:      to.Audience,
		SignsFrom:     unixTime(times.SignsFrom),
		VerifiesUntil: unixTime(times.VerifiesUntil),
		material:      m,
	}, nil
}

// unixTime is time.Unix with nil for the zero time.
func unixTime(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}

// newRing checks what must hold for every ring, wherever it came from.
func newRing(keys []*Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errEmpty
	}
	byID := make(map[string]*Key, len(keys))
	for i, k := range keys {
		switch {
		case k.ID == "" || len(k.ID) > maxKeyID:
			return nil, fmt.Errorf("key %d of %d: %w: it has no kid, or one of more than %d bytes", i+1, len(keys), ErrBadRing, maxKeyID)
		case k.Algorithm == HS256 && len(k.secret) < MinSecret:
			return nil, fmt.Errorf("key %d of %d: %w: it has %d bytes, HS256 needs %d", i+1, len(keys), ErrWeakKey, len(k.secret), MinSecret)
		case byID[k.ID] != nil:
			return nil, fmt.Errorf("key %d of %d: %w: another key has the same kid", i+1, len(keys), ErrBadRing)
		}
		byID[k.ID] = k
	}
	ring := &Ring{keys: keys, byID: byID}
	for _, k := range keys {
		k.ring = ring
	}
	return ring, nil
}
