package keyring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// ParsePublic parses a JWK Set that somebody else publishes. It leaves out keys that Parse would refuse, as RFC 7517
// section 5 says: a set may also have keys for encryption, and of types or algorithms that are not supported. The
// error is ErrBadRing for a set without a key that can be used, with a kid that two of these keys have, or with a
// shared secret or a private key, which is no longer secret.
func ParsePublic(data []byte) (*Ring, error) {
	ring, _, err := parsePublished(data)
	return ring, err
}

// parsePublished is ParsePublic, and also returns why each key that was left out cannot be used.
//
// Weak and malformed keys are left out too. That is safer than to refuse the set: a key that is left out verifies
// nothing, but while a set is refused the previous keys stay in use, and with them a key that was withdrawn.
func parsePublished(data []byte) (ring *Ring, ignored []string, err error) {
	_, raws, err := parseSet(data)
	if err != nil {
		return nil, nil, err
	}
	var keys []*Key
	seen := make(map[string]bool, len(raws))
	for i, raw := range raws {
		if holdsSecret(raw) {
			return nil, nil, fmt.Errorf("key %d of %d: %w: it is not a public key", i+1, len(raws), ErrBadRing)
		}
		key, err := parseKey(raw)
		if err == nil {
			err = checkID(key)
		}
		if err != nil {
			why := strings.TrimPrefix(err.Error(), ErrBadRing.Error()+": ") // the set is usable without the key
			ignored = append(ignored, fmt.Sprintf("key %d of %d: %s", i+1, len(raws), why))
			continue
		}
		if seen[key.ID] {
			return nil, nil, fmt.Errorf("key %d of %d: %w", i+1, len(raws), errSameID)
		}
		seen[key.ID] = true
		keys = append(keys, key)
	}
	ring, err = newRing(keys)
	return ring, ignored, err
}

// privateMembers are the members of secrets and private keys (RFC 7518 section 6, RFC 9964 section 3).
var privateMembers = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"}

// holdsSecret reports whether a JWK is a shared secret or has a private part, also if its type is not supported.
func holdsSecret(raw []byte) bool {
	members, err := strictjson.Object(raw)
	if err != nil {
		return false
	}
	var kty string
	if json.Unmarshal(members["kty"], &kty) == nil && kty == "oct" {
		return true
	}
	for _, name := range privateMembers {
		if value := members[name]; value != nil && !bytes.Equal(value, []byte("null")) {
			return true
		}
	}
	return false
}
