package oauth

import (
	"fmt"
	"net/url"
	"strings"
)

// MaxAudience is the maximum length of an API's identifier, in bytes.
const MaxAudience = 255

// ReservedAudience begins audiences that no API can have: those of keys that are for no API.
const ReservedAudience = "urn:hallpass:"

// ValidateAudience checks the identifier of an API, the aud of its tokens: an absolute URI without user
// or fragment (RFC 8707 section 2), of at most MaxAudience bytes. Audiences are compared as strings, so
// every spelling that changes if a program parses the URI and prints it again is refused. So is a URI that
// begins with ReservedAudience.
func ValidateAudience(audience string) error {
	u, err := url.Parse(audience)
	unprintable := strings.ContainsFunc(audience, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case err != nil || unprintable || !u.IsAbs() || u.User != nil || strings.Contains(audience, "#"):
	case len(audience) > MaxAudience || u.String() != audience:
	case strings.HasPrefix(strings.ToLower(audience), ReservedAudience):
	case (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() == "":
	default:
		return nil
	}
	return fmt.Errorf("%q must be an absolute URI like https://api.example.com, in normal form, "+
		"of at most %d bytes, without user or fragment", audience, MaxAudience)
}
