package keyring

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/internal/strictjson"
)

// ErrPending reports a kid that is unknown now but may be known soon, because its source has no keys yet, is
// fetching keys or cannot read them.
var ErrPending = errors.New("kid names no key that is known here yet")

// Errors of Verify.
var (
	errSignature   = errors.New("the signature is invalid")
	errForm        = errors.New("it is not three parts in base64url")
	errCritical    = errors.New("crit names an extension, and none is supported")
	errUnknownKey  = errors.New("kid names no key that verifies now")
	errUnsupported = errors.New("alg is not supported")
	errAlgorithm   = errors.New("alg is not the algorithm of the key")
)

// base64url is the encoding of each part (RFC 7515 section 2). Unused bits at the end must be zero.
var base64url = base64.RawURLEncoding.Strict()

// header is a JOSE header (RFC 7515 section 4.1). Other members, such as jku, jwk, x5u and x5c, are ignored
// (RFC 8725 section 3.10).
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit,omitempty"`
}

// Sign returns the payload signed with the key, as a JWS in compact serialization (RFC 7515 section 7.1) whose
// header has the media type typ. It is an error if the ring has only the public half of the key.
func (k *Key) Sign(typ string, payload []byte) (string, error) {
	head, err := json.Marshal(header{Algorithm: k.Algorithm, KeyID: k.ID, Type: typ})
	if err != nil {
		return "", err
	}
	encoded := make([]byte, 0, base64url.EncodedLen(len(head))+1+base64url.EncodedLen(len(payload)))
	encoded = append(base64url.AppendEncode(encoded, head), '.')
	signed := string(base64url.AppendEncode(encoded, payload))
	signature, err := jwt.GetSigningMethod(k.Algorithm).Sign(signed, k.SigningKey())
	if err != nil {
		return "", err
	}
	return signed + "." + base64url.EncodeToString(signature), nil
}

// Verify returns the payload of a JWS in compact serialization, and the key that signed it. The typ of its
// header must be the media type typ. The error is a reason for the log, which never quotes the input; it is
// ErrPending if a later try may succeed.
func Verify(keys Source, compact, typ string, now time.Time) (payload []byte, key *Key, err error) {
	signed, parts, err := split(compact)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyFor(keys, parts[0], typ, now)
	if err != nil {
		return nil, nil, err
	}
	if jwt.GetSigningMethod(key.Algorithm).Verify(signed, parts[2], key.VerificationKey()) != nil {
		return nil, nil, errSignature
	}
	return parts[1], key, nil
}

// split returns the signed text of a JWS and its decoded header, payload and signature, which are not empty.
func split(compact string) (signed string, parts [3][]byte, err error) {
	texts := strings.SplitN(compact, ".", 4)
	if len(texts) != 3 || strings.ContainsAny(compact, "\r\n") { // the decoder ignores line breaks
		return "", parts, errForm
	}
	for i, text := range texts {
		if parts[i], err = base64url.DecodeString(text); err != nil || text == "" {
			return "", parts, errForm
		}
	}
	return strings.TrimSuffix(compact, "."+texts[2]), parts, nil
}

// pending is a Source that reloads its keys. Pending reports whether there may be keys that it has not
// read yet, and may start to read them.
type pending interface{ Pending() bool }

// keyFor returns the key that a JOSE header names.
func keyFor(keys Source, text []byte, typ string, now time.Time) (*Key, error) {
	var h header
	if err := strictjson.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	if strings.TrimPrefix(strings.ToLower(h.Type), "application/") != typ {
		return nil, errors.New("typ is not " + typ) // RFC 8725 section 3.11
	}
	if h.Critical != nil {
		return nil, errCritical // RFC 7515 section 4.1.11
	}
	if !slices.Contains(Algorithms, h.Algorithm) {
		return nil, errUnsupported // RFC 8725 section 3.1
	}
	key, err := verifier(keys, h.KeyID, now)
	if err != nil {
		return nil, err
	}
	if h.Algorithm != key.Algorithm {
		return nil, errAlgorithm // RFC 8725 section 3.1
	}
	return key, nil
}

// verifier returns the key with the given id that verifies at now.
func verifier(keys Source, id string, now time.Time) (*Key, error) {
	ring := keys.Current()
	key, ok := ring.Verifier(id, now)
	if p, reloads := keys.(pending); !ok && reloads {
		if p.Pending() {
			return nil, ErrPending
		}
		ring = keys.Current()
		key, ok = ring.Verifier(id, now) // it may have been read in between
	}
	switch {
	case ok:
		return key, nil
	case ring == nil: // the source has no keys yet
		return nil, ErrPending
	}
	return nil, errUnknownKey
}
