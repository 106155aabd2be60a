package keyring

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ForAPI returns what an API needs of a JWK Set: of the keys that are tied to it, or, with
// no audience, of those that are tied to none, the shared secrets as they are written, and
// the public half of the others. Nothing else of the set is in it. A set that Parse
// refuses is refused, and one that would be empty is ErrBadRing.
func ForAPI(set []byte, audience string) ([]byte, error) {
	ring, _, keys, err := open(set)
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
		return nil, noneFor(audience)
	}
	return writeSet(nil, verifying...)
}

// noneFor says that a set has no key for an API.
func noneFor(audience string) error {
	if audience == "" {
		return fmt.Errorf("%w: all its keys are tied to APIs", ErrBadRing)
	}
	return fmt.Errorf("%w: it has no key for %s", ErrBadRing, audience)
}

// Retire gives the keys that are tied to an API an end, and returns the JWK Set and
// whether that changed anything. Those that have not begun to sign by now are left out, lest
// they begin. An earlier end stays, and so does all else. A set that Parse refuses is
// refused.
func Retire(set []byte, audience string, now, end time.Time) (retired []byte, changed bool, err error) {
	ring, doc, keys, err := open(set)
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
				if jwk, err = retire(jwk, end); err != nil {
					return nil, false, err
				}
			}
		}
		left = append(left, jwk)
	}
	retired, err = writeSet(doc, left...)
	return retired, changed, err
}

// tiedTo reports whether a key of the ring is tied to the API and not retired.
func (r *Ring) tiedTo(audience string) bool {
	return slices.ContainsFunc(r.keys, func(k *Key) bool { return k.Audience == audience && k.VerifiesUntil.IsZero() })
}

// open reads a JWK Set that is to be written again: its ring, its members, and its keys
// as they are written.
func open(set []byte) (ring *Ring, doc map[string]json.RawMessage, keys []json.RawMessage, err error) {
	if ring, err = Parse(set); err != nil {
		return nil, nil, nil, err
	}
	if err = json.Unmarshal(set, &doc); err == nil {
		err = json.Unmarshal(doc["keys"], &keys)
	}
	if err != nil || len(keys) != ring.Len() { // Parse is content with "Keys" too
		return nil, nil, nil, fmt.Errorf("%w: it is not JSON of the form {\"keys\": [...]}", ErrBadRing)
	}
	return ring, doc, keys, nil
}

// TiedElsewhere returns an API other than the one given that a key of the ring is tied
// to, and whether there is one. An API should not have such a key.
func (r *Ring) TiedElsewhere(audience string) (other string, ok bool) {
	for _, k := range r.keys {
		if k.Audience != "" && k.Audience != audience {
			return k.Audience, true
		}
	}
	return "", false
}
