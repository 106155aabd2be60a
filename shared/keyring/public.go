package keyring

import (
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Public returns a JWK Set of the public halves of the keys that verify at now, with their schedule.
// Shared secrets are left out.
func (r *Ring) Public(now time.Time) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range r.keys {
		if k.public == nil || !k.verifiesAt(now) {
			continue
		}
		half, err := publicHalf(k)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, half)
	}
	return json.Marshal(set)
}

// HasPublicKeys reports whether Public returns a key at now: whether there is anything to publish as
// jwks_uri (RFC 8414 section 2). It is false for a ring of shared secrets.
func (r *Ring) HasPublicKeys(now time.Time) bool {
	for _, k := range r.keys {
		if k.public != nil && k.verifiesAt(now) {
			return true
		}
	}
	return false
}

// publicHalf returns the public half of a key that has one, with its schedule.
func publicHalf(k *Key) (json.RawMessage, error) {
	members, err := membersOf(jose.JSONWebKey{Key: k.public, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"})
	if err != nil {
		return nil, err
	}
	for name, at := range map[string]time.Time{"nbf": k.SignsFrom, "exp": k.VerifiesUntil} {
		if !at.IsZero() {
			members[name] = at.Unix()
		}
	}
	if k.Audience != "" {
		members["aud"] = k.Audience
	}
	return json.Marshal(members)
}

// membersOf returns the JSON members of a JWK, so that others can be added.
func membersOf(jwk jose.JSONWebKey) (map[string]any, error) {
	text, err := json.Marshal(jwk)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	return members, json.Unmarshal(text, &members)
}
