package keyring

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Add generates a key bound to the audience. It returns the set with the key added, and a set of only
// that key for the API. The other keys are unchanged. The error is ErrBadRing if the set is not
// valid or has a key for the audience that is not retired, or if the audience is empty.
func Add(set []byte, algorithm, audience string, now time.Time, random io.Reader) (ring, single []byte, err error) {
	old, doc, keys, err := openSet(set)
	if err != nil {
		return nil, nil, err
	}
	if audience == "" {
		return nil, nil, fmt.Errorf("%w: the key needs an audience", ErrBadRing)
	}
	if old.hasKeyFor(audience) {
		return nil, nil, fmt.Errorf("%w: it has a key for %s already", ErrBadRing, audience)
	}
	key, err := newKey(algorithm, audience, now, random)
	if err != nil {
		return nil, nil, err
	}
	if ring, err = writeSet(doc, append(keys, key)...); err != nil {
		return nil, nil, err
	}
	single, err = writeSet(exported, key)
	return ring, single, err
}

// Rotate returns a JWK Set with the successor added and an end for the keys that it replaces: those
// with the same audience. A replaced key that ends earlier keeps its end. One that would start to sign
// after the successor, and has not signed yet, is removed. So are expired keys. Everything else is
// unchanged. The error is ErrBadRing or ErrWeakKey if Parse refuses the set, ErrBadRing if it already has
// the successor, and ErrNoKey if it has no key to replace.
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

// Announce returns a JWK Set with the successor added and everything else unchanged, for an API whose authorization
// server does not have the successor yet. The error is ErrBadRing or ErrWeakKey if Parse refuses the set, and
// ErrBadRing if it already has the successor.
func Announce(set []byte, s *Successor) ([]byte, error) {
	ring, doc, keys, err := openSet(set)
	if err != nil {
		return nil, err
	}
	if ring.byID[s.ID] != nil {
		return nil, fmt.Errorf("%w: it has the key %s already", ErrBadRing, s.ID)
	}
	return writeSet(doc, append(keys, s.jwk)...)
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

// Retire returns the JWK Set with an end for the keys bound to the audience, and reports whether the set
// changed. Keys of the audience that have not started to sign are removed. A key that ends earlier keeps
// its end. The errors are those of Parse.
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

// ForAPI returns the JWK Set that an API needs. It has the keys bound to the audience, or the keys bound
// to no API if audience is empty: shared secrets unchanged, and the public half of key pairs. Other
// members of the set are left out, and IsExport reports true for the result. The error is ErrBadRing or
// ErrWeakKey if Parse refuses the set, and ErrNoKey if the result has no key.
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
	return writeSet(exported, verifying...)
}

// errNoKeyFor returns the error of a set that has no key for an audience.
func errNoKeyFor(audience string) error {
	return fmt.Errorf("%w for %s", ErrNoKey, cmp.Or(audience, "the default API"))
}

// exportMember is the member of a JWK Set that ForAPI or Add has made for an API. Rotating the set would
// leave the authorization server without the new key.
const exportMember = "hallpass_export"

// exported has the members of a set for an API besides its keys.
var exported = map[string]json.RawMessage{exportMember: json.RawMessage("true")}

// IsExport reports whether a JWK Set was made for an API, by ForAPI or Add.
func IsExport(set []byte) bool {
	doc, _, err := parseSet(set)
	return err == nil && doc[exportMember] != nil
}

// openSet parses a JWK Set for editing. It returns the ring, the members of the set and the unparsed keys.
func openSet(set []byte) (ring *Ring, doc map[string]json.RawMessage, keys []json.RawMessage, err error) {
	if ring, err = Parse(set); err != nil {
		return nil, nil, nil, err
	}
	if doc, keys, err = parseSet(set); err != nil {
		return nil, nil, nil, err
	}
	return ring, doc, keys, nil
}

// writeSet returns a JWK Set of the keys and the other members of doc.
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
