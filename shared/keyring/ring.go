package keyring

import (
	"errors"
	"slices"
	"time"
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

// Errors of parsing and using a ring. A returned error wraps one of them, says which key is wrong,
// and never holds key material.
var (
	ErrWeakKey  = errors.New("key is too short")
	ErrBadRing  = errors.New("not a usable JWK Set")
	ErrNoSigner = errors.New("no key of the ring may sign now")
	ErrNoKey    = errors.New("no key")
)

// Key is one key of a ring. It is immutable.
type Key struct {
	// ID is the kid, which a token's header names.
	ID string
	// Algorithm is the only JWS algorithm that the key is used with (RFC 8725 section 3.1).
	Algorithm string
	// Audience is the API whose tokens the key is bound to; empty means any. See ForIDTokens for keys of no
	// API.
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

// verifiesAt reports whether k verifies at now.
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

// Source returns the ring to use now, or nil while it has none yet. Implementations must be safe for concurrent
// use and cheap: they are called on every request.
type Source interface {
	Current() *Ring
}

// Current returns r: a Ring is a Source that never changes.
func (r *Ring) Current() *Ring { return r }

// Keys returns the keys in the order of the set, regardless of their schedule.
func (r *Ring) Keys() []*Key { return slices.Clone(r.keys) }

// Len returns the number of keys, regardless of their schedule.
func (r *Ring) Len() int { return len(r.keys) }

// Signer returns the key bound to no API that signs at now, or ErrNoSigner.
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

// latest returns the matching key that signs: the one with the latest start, or of two with the same
// start the last one in the set.
func (r *Ring) latest(now time.Time, matches func(*Key) bool) (*Key, error) {
	var signer *Key
	for _, k := range r.keys {
		if matches(k) && k.signsAt(now) && (signer == nil || !k.SignsFrom.Before(signer.SignsFrom)) {
			signer = k
		}
	}
	if signer == nil {
		return nil, ErrNoSigner
	}
	return signer, nil
}

// Verifier returns the key with the given id if it verifies at now. A nil ring has no keys.
func (r *Ring) Verifier(id string, now time.Time) (*Key, bool) {
	if r == nil {
		return nil, false
	}
	k, ok := r.byID[id]
	if !ok || !k.verifiesAt(now) {
		return nil, false
	}
	return k, true
}

// Verifies reports whether k is a key of this ring, not of an equal one, and verifies at now.
func (r *Ring) Verifies(k *Key, now time.Time) bool { return k.ring == r && k.verifiesAt(now) }

// hasKeyFor reports whether a key of the ring is bound to the audience and has no end.
func (r *Ring) hasKeyFor(audience string) bool {
	return slices.ContainsFunc(r.keys, func(k *Key) bool { return k.Audience == audience && k.VerifiesUntil.IsZero() })
}

// BoundToOther returns the first audience, other than the given one, that a key of the ring is bound
// to, and whether there is one. An API must not have such a key if it is a shared secret. Keys for ID
// tokens do not count.
func (r *Ring) BoundToOther(audience string) (other string, ok bool) {
	for _, k := range r.keys {
		if k.Audience != "" && k.Audience != audience && !k.ForIDTokens() {
			return k.Audience, true
		}
	}
	return "", false
}

// State is what a key is used for at a given time.
type State string

// The states of a key, in the order in which it passes through them.
const (
	Waiting   State = "waiting"   // verifies already, will sign later
	Signing   State = "signing"   // signs new tokens
	Verifying State = "verifying" // verifies tokens that it has signed
	Over      State = "over"      // has ended
)

// StateOf returns the state of a key of the ring at now. A public key is Verifying until it ends.
func (r *Ring) StateOf(k *Key, now time.Time) State {
	signer, err := r.latest(now, func(other *Key) bool { return other.Audience == k.Audience })
	switch {
	case !k.verifiesAt(now):
		return Over
	case err == nil && signer == k:
		return Signing
	case k.SigningKey() != nil && now.Before(k.SignsFrom):
		return Waiting
	}
	return Verifying
}
