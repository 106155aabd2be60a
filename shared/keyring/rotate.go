package keyring

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Successor is a new key that replaces older ones.
type Successor struct {
	// ID is the new key's kid.
	ID string
	// Algorithm is one of Algorithms. Audience is the API that the key is bound to, or empty.
	Algorithm, Audience string
	// SignsFrom is when the key starts to sign. It must leave every verifier time to get the key.
	SignsFrom time.Time
	// Retires is when the older keys stop verifying: when the last token that they have signed
	// expires.
	Retires time.Time

	jwk json.RawMessage
}

// NewSuccessor generates a key for one of Algorithms. Times are truncated to seconds. It is an error
// if retires is before signsFrom. Randomness comes from random, which should be crypto/rand.Reader.
func NewSuccessor(algorithm, audience string, signsFrom, retires time.Time, random io.Reader) (*Successor, error) {
	if retires.Before(signsFrom) {
		return nil, fmt.Errorf("the older keys would retire at %v, before the new key signs from %v", retires, signsFrom)
	}
	jwk, err := newKey(algorithm, audience, signsFrom, random)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(jwk)
	if err != nil {
		return nil, err
	}
	return &Successor{
		ID:        key.ID,
		Algorithm: algorithm,
		Audience:  audience,
		SignsFrom: key.SignsFrom,
		Retires:   retires,
		jwk:       jwk,
	}, nil
}

// ForAPI returns the successor for the keys file of an API: without the private half, if it has one.
func (s *Successor) ForAPI() (*Successor, error) {
	key, err := parseKey(s.jwk)
	if err != nil || key.public == nil {
		return s, err
	}
	half := *s
	half.jwk, err = publicHalf(key)
	return &half, err
}

// Rotate returns a JWK Set with the successor added and an end for the keys that it replaces: those
// with the same audience. A replaced key that ends earlier keeps its end, and one that would start to
// sign after the successor is removed if it has signed nothing yet. Keys that have ended by now are
// removed as well. Everything else is unchanged. The error is ErrBadRing if the set is not valid, has
// the successor already, or has no key to replace.
func Rotate(set []byte, s *Successor, now time.Time) ([]byte, error) {
	ring, doc, keys, err := openSet(set)
	if err != nil {
		return nil, err
	}
	if ring.byID[s.ID] != nil {
		return nil, fmt.Errorf("%w: it has the key %s already", ErrBadRing, s.ID)
	}
	var rotated []json.RawMessage
	found := false
	for i, k := range ring.keys {
		jwk, end := keys[i], k.VerifiesUntil
		if k.Audience == s.Audience {
			found = true
			if k.verifiesAt(s.Retires) {
				end = s.Retires
				if jwk, err = withEnd(jwk, end); err != nil {
					return nil, err
				}
			}
		}
		late := k.Audience == s.Audience && k.SignsFrom.After(now) && k.SignsFrom.After(s.SignsFrom)
		if over := !end.IsZero() && !end.After(now); !over && !late {
			rotated = append(rotated, jwk)
		}
	}
	if !found {
		return nil, errNoKeyFor(s.Audience)
	}
	return writeSet(doc, append(rotated, s.jwk)...)
}

// withEnd returns a JWK whose exp is end.
func withEnd(jwk json.RawMessage, end time.Time) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	err := json.Unmarshal(jwk, &members)
	if err != nil {
		return nil, fmt.Errorf("%w: a key is not a JSON object", ErrBadRing)
	}
	if members["exp"], err = json.Marshal(end.Unix()); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// Keys returns the keys in the order of the set, regardless of their schedule.
func (r *Ring) Keys() []*Key { return slices.Clone(r.keys) }

// State is what a key is used for at a given time.
type State string

// The states of a key, in the order in which it passes through them.
const (
	Waiting   State = "waiting"   // verifies already, and will sign later
	Signing   State = "signing"   // signs new tokens
	Verifying State = "verifying" // verifies tokens that it has signed
	Over      State = "over"      // has ended
)

// StateOf returns the state of a key of the ring at now. A public half is Verifying until it ends.
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
