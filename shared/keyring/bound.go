package keyring

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ForAPI returns the JWK Set that an API needs: of the keys bound to the audience, or, if audience
// is empty, of the keys bound to none, the shared secrets unchanged and the public half of the key
// pairs. Other members of the set are left out. The error is ErrBadRing or ErrWeakKey if Parse
// refuses the set, and ErrBadRing if the result has no key.
func ForAPI(set []byte, audience string) ([]byte, error) {
	ring, _, keys, err := openSet(set)
	if err != nil {
		return nil, err
	}
	var verifying []json.RawMessage
	for i, k := range ring.keys {
		if k.Audience != audience {
			continue
		}
		jwk := keys[i]
		if k.public != nil {
			if jwk, err = publicHalf(k); err != nil {
				return nil, err
			}
		}
		verifying = append(verifying, jwk)
	}
	if len(verifying) == 0 {
		return nil, errNoKeyFor(audience)
	}
	return writeSet(nil, verifying...)
}

// errNoKeyFor returns the error of a set that has no key for an audience.
func errNoKeyFor(audience string) error {
	if audience == "" {
		return fmt.Errorf("%w: all its keys are bound to APIs", ErrBadRing)
	}
	return fmt.Errorf("%w: it has no key for %s", ErrBadRing, audience)
}

// Retire returns the JWK Set with an end for the keys bound to the audience, and reports whether that
// changes it. Keys of the audience that have not started to sign are removed. A key that ends
// earlier keeps its end. The error is that of Parse.
func Retire(set []byte, audience string, now, end time.Time) (retired []byte, changed bool, err error) {
	ring, doc, keys, err := openSet(set)
	if err != nil {
		return nil, false, err
	}
	var left []json.RawMessage
	for i, k := range ring.keys {
		jwk := keys[i]
		if audience != "" && k.Audience == audience {
			if k.SignsFrom.After(now) {
				changed = true
				continue
			}
			if k.verifiesAt(end) {
				changed = true
				if jwk, err = withEnd(jwk, end); err != nil {
					return nil, false, err
				}
			}
		}
		left = append(left, jwk)
	}
	retired, err = writeSet(doc, left...)
	return retired, changed, err
}

// hasKeyFor reports whether a key of the ring is bound to the audience and has no end.
func (r *Ring) hasKeyFor(audience string) bool {
	return slices.ContainsFunc(r.keys, func(k *Key) bool { return k.Audience == audience && k.VerifiesUntil.IsZero() })
}

// openSet parses a JWK Set that is to be changed: its ring, its members, and its keys as written.
func openSet(set []byte) (ring *Ring, doc map[string]json.RawMessage, keys []json.RawMessage, err error) {
	if ring, err = Parse(set); err != nil {
		return nil, nil, nil, err
	}
	if doc, keys, err = parseSet(set); err != nil {
		return nil, nil, nil, err
	}
	return ring, doc, keys, nil
}

// BoundToOther returns the first audience, other than the given one, that a key of the ring is bound
// to, and whether there is one. An API must not have such a key if it is a shared secret.
func (r *Ring) BoundToOther(audience string) (other string, ok bool) {
	for _, k := range r.keys {
		if k.Audience != "" && k.Audience != audience {
			return k.Audience, true
		}
	}
	return "", false
}
