package keyring

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Successor is a new key that takes over from those before it.
type Successor struct {
	// ID is the new key's kid.
	ID string
	// Algorithm and Audience say what it is for; an empty audience, as in Key, that it
	// is tied to no API.
	Algorithm, Audience string
	// SignsFrom is when it starts to sign: late enough for everybody who verifies to
	// have it by then.
	SignsFrom time.Time
	// Retires is when the keys before it stop to verify: when the last token that they
	// have signed is over.
	Retires time.Time

	jwk json.RawMessage
}

// NewSuccessor makes a key for one of Algorithms. Times are kept to the second; to
// retire the keys before it earlier than it signs is an error. Randomness comes from
// random, which should be crypto/rand.Reader.
func NewSuccessor(algorithm, audience string, signsFrom, retires time.Time, random io.Reader) (*Successor, error) {
	if retires.Before(signsFrom) {
		return nil, fmt.Errorf("the keys before would retire at %v, and the new one sign from %v", retires, signsFrom)
	}
	jwk, err := newKey(algorithm, audience, signsFrom, random)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(jwk)
	if err != nil {
		return nil, err
	}
	return &Successor{ID: key.ID, Algorithm: algorithm, Audience: audience, SignsFrom: key.SignsFrom, Retires: retires, jwk: jwk}, nil
}

// ForAPI returns the successor as an API needs it: without the private half, if it has one.
func (s *Successor) ForAPI() (*Successor, error) {
	key, err := parseKey(s.jwk)
	if err != nil || key.public == nil {
		return s, err
	}
	half := *s
	half.jwk, err = publicHalf(key)
	return &half, err
}

// Rotate returns a JWK Set with the successor in it and an end to the keys that it takes
// over from: those that are tied to the same API, or, like it, to none. An end that they
// have already stays if it is earlier; those that would begin to sign after it, and have
// signed nothing yet, are left out, and so are all keys that are over by now. The rest
// stays as it is written. The error is ErrBadRing if the set is not one, has the key
// already, or has no key to take over from.
func Rotate(set []byte, s *Successor, now time.Time) ([]byte, error) {
	ring, doc, keys, err := open(set)
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
				if jwk, err = retire(jwk, end); err != nil {
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
		return nil, noneFor(s.Audience)
	}
	return writeSet(doc, append(rotated, s.jwk)...)
}

// retire writes an end into a key.
func retire(jwk json.RawMessage, end time.Time) (json.RawMessage, error) {
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

// Keys returns the keys in the order of the set, whatever their schedule says.
func (r *Ring) Keys() []*Key { return slices.Clone(r.keys) }

// State says what a key is doing.
type State string

// The states of a key, in the order in which it goes through them.
const (
	Waiting   State = "waiting"   // verifies already, and will sign
	Signing   State = "signing"   // signs new tokens
	Verifying State = "verifying" // verifies the tokens that are out
	Over      State = "over"      // does nothing any more
)

// StateOf says what a key of the ring does at now. A public half is Verifying.
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
