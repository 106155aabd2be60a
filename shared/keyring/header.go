package keyring

import (
	"errors"
	"strings"
	"time"
)

// ErrPending says that a token names a key that is not known yet and may soon be: its
// source is still asking.
var ErrPending = errors.New("kid names no key that is known here yet")

// Reasons for which a header is refused.
var (
	errCritical   = errors.New("crit names an extension, and none is supported")
	errUnknownKey = errors.New("kid names no key that verifies now")
	errAlgorithm  = errors.New("alg is not the one of the key")
)

// pending is a source of keys that may soon know more of them. Pending starts to ask
// for them, unless it has done so lately, and reports whether the answer is still out.
type pending interface{ Pending() bool }

// ForHeader picks the key that verifies a token by the token's JOSE header, which must
// say the media type typ. Nothing else in the header is believed: jku, jwk, x5u and x5c
// are not looked at (RFC 8725 §3.10). The error is a reason for the log.
func ForHeader(keys Source, header map[string]any, typ string, now time.Time) (*Key, error) {
	said, _ := header["typ"].(string)
	if strings.TrimPrefix(strings.ToLower(said), "application/") != typ {
		return nil, errors.New("typ is not " + typ) // RFC 8725 §3.11
	}
	if _, ok := header["crit"]; ok {
		return nil, errCritical // RFC 7515 §4.1.11
	}
	kid, _ := header["kid"].(string)
	key, ok := keys.Current().Verifier(kid, now)
	if !ok {
		if p, asks := keys.(pending); asks && p.Pending() {
			return nil, ErrPending
		}
		return nil, errUnknownKey
	}
	if alg, _ := header["alg"].(string); alg != key.Algorithm {
		return nil, errAlgorithm // RFC 8725 §3.1
	}
	return key, nil
}
