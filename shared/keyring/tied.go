package keyring

import (
	"encoding/json"
	"fmt"
	"slices"
)

// WithoutTied returns the JWK Set of the keys that are tied to no API, each as it is
// written, and of nothing else. A set that Parse refuses is refused, and one that would
// be empty is ErrBadRing.
func WithoutTied(set []byte) ([]byte, error) {
	_, keys, err := keep(set, func(k *Key) bool { return k.Audience == "" })
	if err != nil {
		return nil, err
	}
	return writeSet(nil, keys...)
}

// Remove takes the keys that are tied to an API out of a JWK Set, and returns what is
// left, all as it is written. A set that Parse refuses is refused, and one that would be
// empty is ErrBadRing.
func Remove(set []byte, audience string) ([]byte, error) {
	doc, keys, err := keep(set, func(k *Key) bool { return k.Audience == "" || k.Audience != audience })
	if err != nil {
		return nil, err
	}
	return writeSet(doc, keys...)
}

// keep returns the members of a set, and those of its keys that are wanted.
func keep(set []byte, wanted func(*Key) bool) (doc map[string]json.RawMessage, kept []json.RawMessage, err error) {
	ring, doc, keys, err := open(set)
	if err != nil {
		return nil, nil, err
	}
	for i, k := range ring.keys {
		if wanted(k) {
			kept = append(kept, keys[i])
		}
	}
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("%w: all its keys are tied to APIs", ErrBadRing)
	}
	return doc, kept, nil
}

// TiedTo reports whether a key of the ring is tied to the API.
func (r *Ring) TiedTo(audience string) bool {
	return slices.ContainsFunc(r.keys, func(k *Key) bool { return audience != "" && k.Audience == audience })
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
