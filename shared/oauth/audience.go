package oauth

import (
	"fmt"
	"net/url"
	"strings"
)

// MaxAudience bounds the identifier of an API, in bytes.
const MaxAudience = 255

// ValidateAudience checks the identifier of an API, the aud of its tokens: an absolute URI
// without a fragment (RFC 8707 §2) or a user. It is compared letter by letter, and so must
// not be one that a client's library might rewrite.
func ValidateAudience(audience string) error {
	u, err := url.Parse(audience)
	strange := strings.ContainsFunc(audience, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case err != nil || strange || !u.IsAbs() || u.User != nil || strings.Contains(audience, "#"):
	case len(audience) > MaxAudience || u.String() != audience:
	case (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() == "":
	default:
		return nil
	}
	return fmt.Errorf("%q must be an absolute URI like https://api.example.com in its plain form, of at most %d bytes, with neither user nor fragment", audience, MaxAudience)
}
