package oauth

import (
	"fmt"
	"slices"
	"strings"
)

// GrantType is the value of the grant_type parameter (RFC 6749 section 4).
type GrantType string

// The grant types that Hallpass supports.
const (
	GrantPassword          GrantType = "password"           // RFC 6749 section 4.3
	GrantAuthorizationCode GrantType = "authorization_code" // RFC 6749 section 4.1
	GrantRefreshToken      GrantType = "refresh_token"      // RFC 6749 section 6
	GrantClientCredentials GrantType = "client_credentials" // RFC 6749 section 4.4

	GrantDeviceCode GrantType = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628 section 3.4

	// GrantTokenExchange is that of RFC 8693 section 2.1.
	GrantTokenExchange GrantType = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // no credential
)

// maxScope is the maximum length of the scope parameter, in bytes.
const maxScope = 1024

// Scope is a set of scope tokens in the order in which they were given, without duplicates (RFC 6749
// section 3.3). The empty scope is nil.
type Scope []string

// ParseScope parses a space-separated list of scope tokens. The empty string is the empty scope. The error
// is ErrInvalidScope for a string outside the grammar of RFC 6749 section 3.3 or longer than 1024 bytes.
func ParseScope(s string) (Scope, error) {
	if len(s) > maxScope {
		return nil, ErrInvalidScope.Describe(fmt.Sprintf("scope is longer than %d bytes", maxScope))
	}
	var scope Scope
	for _, t := range strings.Split(s, " ") {
		if t == "" {
			continue // extra spaces are harmless
		}
		if !validScopeToken(t) {
			return nil, ErrInvalidScope.Describe("scope has a character that RFC 6749 section 3.3 does not allow")
		}
		if !scope.Has(t) {
			scope = append(scope, t)
		}
	}
	return scope, nil
}

// String returns the tokens separated by single spaces, as in the scope parameter.
func (s Scope) String() string { return strings.Join(s, " ") }

// Has reports whether the scope contains the token.
func (s Scope) Has(token string) bool { return slices.Contains(s, token) }

// Missing returns the first of the wanted tokens that s does not contain, and whether there is one.
func (s Scope) Missing(wanted ...string) (token string, missing bool) {
	for _, t := range wanted {
		if !s.Has(t) {
			return t, true
		}
	}
	return "", false
}

// Common returns the tokens that both scopes have, in the order of s.
func (s Scope) Common(other Scope) (both Scope) {
	for _, t := range s {
		if other.Has(t) {
			both = append(both, t)
		}
	}
	return both
}

// validScopeToken reports whether t is 1*NQCHAR: %x21 / %x23-5B / %x5D-7E.
func validScopeToken(t string) bool {
	for i := range len(t) {
		if c := t[i]; c < 0x21 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return t != ""
}
