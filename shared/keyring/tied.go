package keyring

import (
	"encoding/json"
	"fmt"
)

// WithoutTied returns the JWK Set of the keys that are tied to no API, each as it is
// written. A set that Parse refuses is refused, and one that would be empty is ErrBadRing.
func WithoutTied(set []byte) ([]byte, error) {
	ring, err := Parse(set)
	if err != nil {
		return nil, err
	}
	var doc, left document
	if err := json.Unmarshal(set, &doc); err != nil {
		return nil, fmt.Errorf("%w: it is not JSON of the form {\"keys\": [...]}", ErrBadRing)
	}
	for i, k := range ring.keys {
		if k.Audience == "" {
			left.Keys = append(left.Keys, doc.Keys[i])
		}
	}
	if len(left.Keys) == 0 {
		return nil, fmt.Errorf("%w: all its keys are tied to APIs", ErrBadRing)
	}
	data, err := json.MarshalIndent(left, "", "  ")
	return append(data, '\n'), err
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
