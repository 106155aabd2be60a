package keyring

import (
	"errors"
	"strings"
	"time"
)

// ErrPending reports a kid that is unknown now but may be known soon, because its source is fetching
// keys or cannot read them.
var ErrPending = errors.New("kid names no key that is known here yet")

// Errors of ForHeader.
var (
	errCritical   = errors.New("crit names an extension, and none is supported")
	errUnknownKey = errors.New("kid names no key that verifies now")
	errAlgorithm  = errors.New("alg is not the algorithm of the key")
)

// pending is a Source that reloads its keys. Pending reports whether there may be keys that it has not
// read yet, and may start to read them.
type pending interface{ Pending() bool }

// ForHeader returns the key that verifies a token, given the token's JOSE header, whose typ must be
// the media type typ. The header's jku, jwk, x5u and x5c are ignored (RFC 8725 section 3.10). The
// error is a reason for the log; it is ErrPending if a later try may succeed.
func ForHeader(keys Source, header map[string]any, typ string, now time.Time) (*Key, error) {
	got, _ := header["typ"].(string)
	if strings.TrimPrefix(strings.ToLower(got), "application/") != typ {
		return nil, errors.New("typ is not " + typ) // RFC 8725 section 3.11
	}
	if _, ok := header["crit"]; ok {
		return nil, errCritical // RFC 7515 section 4.1.11
	}
	kid, _ := header["kid"].(string)
	key, ok := keys.Current().Verifier(kid, now)
	if !ok {
		if p, ok := keys.(pending); ok && p.Pending() {
			return nil, ErrPending
		}
		return nil, errUnknownKey
	}
	if alg, _ := header["alg"].(string); alg != key.Algorithm {
		return nil, errAlgorithm // RFC 8725 section 3.1
	}
	return key, nil
}
