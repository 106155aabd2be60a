package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// maxKeyID bounds a kid, in bytes.
const maxKeyID = 128

// errEmpty is the error for a set without a key.
var errEmpty = fmt.Errorf("%w: it holds no keys", ErrBadRing)

// binding holds the member that binds a key to one API.
type binding struct {
	Audience string `json:"aud"`
}

// schedule holds members that Hallpass adds to a JWK, as RFC 7517 section 4 allows. They are in
// seconds since 1970, and nil if absent.
type schedule struct {
	SignsFrom     *int64 `json:"nbf,omitempty"`
	VerifiesUntil *int64 `json:"exp,omitempty"`
}

// maxSeconds is the end of the year 9999. A later time was probably written in milliseconds, and much
// later ones overflow in package time.
const maxSeconds = 253402300799

// valid reports whether the times are plausible. Zero is not: an exp left at zero must not mean a key
// without an end.
func (s schedule) valid() bool {
	for _, t := range []*int64{s.SignsFrom, s.VerifiesUntil} {
		if t != nil && (*t <= 0 || *t > maxSeconds) {
			return false
		}
	}
	return true
}

// Parse parses a JWK Set. Each key must have a unique kid and be a shared secret of at least MinSecret
// bytes or an Ed25519, P-256 or RSA key pair or public key; its alg, if any, must be the one that
// goes with its type. The error is ErrBadRing or ErrWeakKey, and never quotes the input.
func Parse(data []byte) (*Ring, error) {
	_, raws, err := parseSet(data)
	if err != nil {
		return nil, err
	}
	keys := make([]*Key, 0, len(raws))
	for i, raw := range raws {
		key, err := parseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(raws), err)
		}
		keys = append(keys, key)
	}
	return newRing(keys)
}

// FromSecret returns a ring of one shared secret: the bytes of the string. The error is ErrWeakKey if it
// has fewer than MinSecret bytes. The key's id is derived from the secret, so all servers that share the
// secret use the same kid.
func FromSecret(secret string) (*Ring, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("%w: it has %d bytes, HS256 needs %d or more: make one with 'openssl rand -hex 32'",
			ErrWeakKey, len(secret), MinSecret)
	}
	key := &Key{ID: secretID([]byte(secret)), Algorithm: HS256, material: material{secret: []byte(secret)}}
	return newRing([]*Key{key})
}

// secretID derives a kid from a secret by HMAC, so that it reveals no more about the secret than a
// token does.
func secretID(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("hallpass key id"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// errNoSet reports a text that is not a JWK Set. Another spelling of "keys" is refused too, because other
// programs would read other keys from the set.
var errNoSet = fmt.Errorf("%w: it is not JSON of the form {\"keys\": [...]}", ErrBadRing)

// parseSet returns the members of a JWK Set and its unparsed keys.
func parseSet(data []byte) (doc map[string]json.RawMessage, keys []json.RawMessage, err error) {
	doc, err = strictjson.Object(data)
	if errors.Is(err, strictjson.ErrRepeated) {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadRing, err)
	}
	if err != nil {
		return nil, nil, errNoSet
	}
	for name := range doc {
		if name != "keys" && strings.EqualFold(name, "keys") {
			return nil, nil, errNoSet
		}
	}
	if text := doc["keys"]; text != nil && json.Unmarshal(text, &keys) != nil {
		return nil, nil, errNoSet
	}
	return doc, keys, nil
}

func parseKey(raw []byte) (*Key, error) {
	var jwk jose.JSONWebKey
	var times schedule
	var bound binding
	err := errors.Join(json.Unmarshal(raw, &jwk), strictjson.Unmarshal(raw, &times), strictjson.Unmarshal(raw, &bound))
	if err != nil { // its text may quote the key
		return nil, fmt.Errorf("%w: it is not a JWK, or one of its members has the wrong type", ErrBadRing)
	}
	algorithm, m, err := materialOf(jwk.Key)
	if err != nil {
		return nil, err
	}
	if jwk.Algorithm != "" && jwk.Algorithm != algorithm {
		return nil, fmt.Errorf("%w: its alg is not %s", ErrBadRing, algorithm)
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, fmt.Errorf("%w: its use is not sig", ErrBadRing)
	}
	if !times.valid() {
		return nil, fmt.Errorf("%w: its nbf or exp is not in seconds since 1970", ErrBadRing)
	}
	return &Key{
		ID:            jwk.KeyID,
		Algorithm:     algorithm,
		Audience:      bound.Audience,
		SignsFrom:     unixTime(times.SignsFrom),
		VerifiesUntil: unixTime(times.VerifiesUntil),
		material:      m,
	}, nil
}

// unixTime returns the time of seconds since 1970, and the zero time for nil.
func unixTime(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}

// errSameID reports a kid that is not unique.
var errSameID = fmt.Errorf("%w: another key has the same kid", ErrBadRing)

// checkID returns an error if the kid of a key is missing or too long.
func checkID(k *Key) error {
	if k.ID == "" || len(k.ID) > maxKeyID {
		return fmt.Errorf("%w: it has no kid, or one of more than %d bytes", ErrBadRing, maxKeyID)
	}
	return nil
}

// newRing returns a ring of the keys, or an error if a kid is missing, too long or not unique, or if a
// secret is too short.
func newRing(keys []*Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errEmpty
	}
	byID := make(map[string]*Key, len(keys))
	for i, k := range keys {
		err := checkID(k)
		switch {
		case err != nil:
		case k.Algorithm == HS256 && len(k.secret) < MinSecret:
			err = fmt.Errorf("%w: it has %d bytes, HS256 needs %d", ErrWeakKey, len(k.secret), MinSecret)
		case byID[k.ID] != nil:
			err = errSameID
		}
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(keys), err)
		}
		byID[k.ID] = k
	}
	ring := &Ring{keys: keys, byID: byID}
	for _, k := range keys {
		k.ring = ring
	}
	return ring, nil
}
