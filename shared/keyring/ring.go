package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// MinSecret is the minimum length of a shared secret, in bytes: HS256 needs a key of at least the
// size of its hash (RFC 7518 section 3.2).
const MinSecret = 32

// The algorithms of keys. A verifier of HS256 can also sign; for the others it needs only the
// public half.
const (
	HS256 = "HS256" // HMAC with SHA-256, for shared secrets (RFC 7518 section 3.2)
	EdDSA = "EdDSA" // Ed25519 (RFC 8037 section 3.1)
	ES256 = "ES256" // ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4)
	RS256 = "RS256" // RSA with PKCS #1 v1.5 and SHA-256 (RFC 7518 section 3.3)
)

// Algorithms lists the supported algorithms.
var Algorithms = []string{HS256, EdDSA, ES256, RS256}

// maxKeyID bounds a kid, in bytes.
const maxKeyID = 128

// Errors of parsing and using a ring. A returned error wraps one of them, says which key is wrong,
// and never holds key material.
var (
	ErrWeakKey  = errors.New("key is too short")
	ErrBadRing  = errors.New("not a usable JWK Set")
	ErrNoSigner = errors.New("no key of the ring may sign now")
)

// errEmpty is the error for a set without a key.
var errEmpty = fmt.Errorf("%w: it holds no keys", ErrBadRing)

// Key is one key of a ring. It is immutable.
type Key struct {
	// ID is the kid, which a token's header names.
	ID string
	// Algorithm is the only JWS algorithm that the key is used with (RFC 8725 section 3.1).
	Algorithm string
	// Audience is the API whose tokens the key is bound to; empty means any.
	Audience string
	// SignsFrom is when the key starts to sign; zero means always.
	SignsFrom time.Time
	// VerifiesUntil is when the key stops verifying; zero means never.
	VerifiesUntil time.Time

	material
	ring *Ring // the ring that has the key
}

// Secret returns the shared secret of an HS256 key, and nil for other keys. The caller must not
// change or print it.
func (k *Key) Secret() []byte { return k.secret }

// SigningKey returns the key that golang-jwt signs with, and nil if the ring has only the public half.
func (k *Key) SigningKey() any {
	if k.secret != nil {
		return k.secret
	}
	return k.private
}

// VerificationKey returns the key that golang-jwt verifies with.
func (k *Key) VerificationKey() any {
	if k.secret != nil {
		return k.secret
	}
	return k.public
}

// String returns the key's id, so that printing a key does not reveal its material.
func (k *Key) String() string { return "key " + k.ID }

// GoString returns String(), for %#v.
func (k *Key) GoString() string { return k.String() }

// verifiesAt reports whether signatures of k are accepted at now.
func (k *Key) verifiesAt(now time.Time) bool {
	return k.VerifiesUntil.IsZero() || now.Before(k.VerifiesUntil)
}

// signsAt reports whether k may sign at now.
func (k *Key) signsAt(now time.Time) bool {
	return !now.Before(k.SignsFrom) && k.verifiesAt(now) && k.SigningKey() != nil
}

// Ring is a set of keys with their schedule. It is immutable and safe for concurrent use.
type Ring struct {
	keys []*Key
	byID map[string]*Key
}

// Source returns the ring to use now. Implementations must be safe for concurrent use and cheap: they
// are called on every request.
type Source interface {
	Current() *Ring
}

// Current returns r: a Ring is a Source that never changes.
func (r *Ring) Current() *Ring { return r }

// Signer returns the key that signs at now, of those that are bound to no API, or ErrNoSigner.
func (r *Ring) Signer(now time.Time) (*Key, error) {
	return r.latest(now, func(k *Key) bool { return k.Audience == "" })
}

// SignerFor returns the key that signs tokens for an API at now: a key bound to the API, or else a key
// pair bound to none. A shared secret bound to none is not used, since the other APIs that have it
// could forge the token. The error is ErrNoSigner.
func (r *Ring) SignerFor(audience string, now time.Time) (*Key, error) {
	if k, err := r.latest(now, func(k *Key) bool { return k.Audience != "" && k.Audience == audience }); err == nil {
		return k, nil
	}
	return r.latest(now, func(k *Key) bool { return k.Audience == "" && k.Algorithm != HS256 })
}

// latest returns the key that signs, of those that fit: the one with the latest start, and the last
// one in the set if two have the same start.
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

// Verifier returns the key with the given id if it verifies at now.
func (r *Ring) Verifier(id string, now time.Time) (*Key, bool) {
	k, ok := r.byID[id]
	if !ok || !k.verifiesAt(now) {
		return nil, false
	}
	return k, true
}

// Verifies reports whether k is a key of this ring, not of an equal one, and verifies at now.
func (r *Ring) Verifies(k *Key, now time.Time) bool { return k.ring == r && k.verifiesAt(now) }

// Len returns the number of keys, regardless of their schedule.
func (r *Ring) Len() int { return len(r.keys) }

// FromSecret returns a ring of one shared secret, which is the bytes of the string. The error is
// ErrWeakKey if it has fewer than MinSecret bytes. The key's id is derived from the secret, so that
// all servers that share it use the same kid.
func FromSecret(secret string) (*Ring, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("%w: it has %d bytes, HS256 needs %d or more: make one with 'openssl rand -hex 32'",
			ErrWeakKey, len(secret), MinSecret)
	}
	key := &Key{ID: secretID([]byte(secret)), Algorithm: HS256, material: material{secret: []byte(secret)}}
	return newRing([]*Key{key})
}

// secretID derives a kid from a secret by HMAC, so that it reveals no more about the secret than a
// token does.
func secretID(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("hallpass key id"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// target is the member that binds a key to one API.
type target struct {
	Audience string `json:"aud"`
}

// schedule holds members that Hallpass adds to a JWK, as RFC 7517 section 4 allows. They are in
// seconds since 1970, and nil if absent.
type schedule struct {
	SignsFrom     *int64 `json:"nbf,omitempty"`
	VerifiesUntil *int64 `json:"exp,omitempty"`
}

// maxSeconds is the end of the year 9999. A later time was probably written in milliseconds, and much
// later ones overflow in package time.
const maxSeconds = 253402300799

// valid reports whether the times are plausible. Zero is not: an exp left at zero must not mean a key
// without an end.
func (s schedule) valid() bool {
	for _, t := range []*int64{s.SignsFrom, s.VerifiesUntil} {
		if t != nil && (*t <= 0 || *t > maxSeconds) {
			return false
		}
	}
	return true
}

// Parse parses a JWK Set. Each key must have a unique kid and be a shared secret of at least MinSecret
// bytes or an Ed25519, P-256 or RSA key pair or public key; its alg, if any, must be the one that
// goes with its type. The error is ErrBadRing or ErrWeakKey, and holds nothing of the text.
func Parse(data []byte) (*Ring, error) {
	_, raws, err := parseSet(data)
	if err != nil {
		return nil, err
	}
	keys := make([]*Key, 0, len(raws))
	for i, raw := range raws {
		key, err := parseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(raws), err)
		}
		keys = append(keys, key)
	}
	return newRing(keys)
}

// errNoSet reports a text that is not a JWK Set. A set whose keys are under another spelling of "keys" is
// none either: other programs would read other keys from it.
var errNoSet = fmt.Errorf("%w: it is not JSON of the form {\"keys\": [...]}", ErrBadRing)

// parseSet returns the members of a JWK Set and its keys, as they are written.
func parseSet(data []byte) (doc map[string]json.RawMessage, keys []json.RawMessage, err error) {
	doc, err = strictjson.Object(data)
	if errors.Is(err, strictjson.ErrRepeated) {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadRing, err)
	}
	if err != nil {
		return nil, nil, errNoSet
	}
	for name := range doc {
		if name != "keys" && strings.EqualFold(name, "keys") {
			return nil, nil, errNoSet
		}
	}
	if text := doc["keys"]; text != nil && json.Unmarshal(text, &keys) != nil {
		return nil, nil, errNoSet
	}
	return doc, keys, nil
}

func parseKey(raw []byte) (*Key, error) {
	var jwk jose.JSONWebKey
	var times schedule
	var to target
	err := errors.Join(json.Unmarshal(raw, &jwk), strictjson.Unmarshal(raw, &times), strictjson.Unmarshal(raw, &to))
	if err != nil { // its text may quote the key
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

// unixTime returns the time of seconds since 1970, and the zero time for nil.
func unixTime(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}

// newRing returns a ring of the keys, after the checks that hold for every ring.
func newRing(keys []*Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errEmpty
	}
	byID := make(map[string]*Key, len(keys))
	for i, k := range keys {
		switch {
		case k.ID == "" || len(k.ID) > maxKeyID:
			return nil, fmt.Errorf("key %d of %d: %w: it has no kid, or one of more than %d bytes",
				i+1, len(keys), ErrBadRing, maxKeyID)
		case k.Algorithm == HS256 && len(k.secret) < MinSecret:
			return nil, fmt.Errorf("key %d of %d: %w: it has %d bytes, HS256 needs %d",
				i+1, len(keys), ErrWeakKey, len(k.secret), MinSecret)
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
