package oauth

import (
	"fmt"
	"slices"
	"strings"
)

// GrantType is the value of the grant_type parameter (RFC 6749 §4).
type GrantType string

// The grant types that Hallpass knows.
const (
	GrantPassword          GrantType = "password"           // RFC 6749 §4.3
	GrantAuthorizationCode GrantType = "authorization_code" // RFC 6749 §4.1
	GrantRefreshToken      GrantType = "refresh_token"      // RFC 6749 §6
	GrantClientCredentials GrantType = "client_credentials" // RFC 6749 §4.4
)

// maxScope bounds the scope parameter, in bytes: a scope that nobody could have
// registered is refused before it is compared with anything.
const maxScope = 1024

// Scope is a set of scope tokens in the order in which they were given, without
// repeats (RFC 6749 §3.3). The empty scope is nil.
type Scope []string

// ParseScope reads a space-separated list of scope tokens. The empty string is
// the empty scope. A text outside the grammar of RFC 6749 §3.3, or longer than
// 1024 bytes, is ErrInvalidScope.
func ParseScope(s string) (Scope, error) {
	if len(s) > maxScope {
		return nil, ErrInvalidScope.Describe(fmt.Sprintf("scope is longer than %d bytes", maxScope))
	}
	var scope Scope
	for _, t := range strings.Split(s, " ") {
		if t == "" {
			continue // a stray space is no reason to lock a client out
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

// String returns the tokens separated by single spaces: the wire form.
func (s Scope) String() string { return strings.Join(s, " ") }

// Has reports whether the scope contains the token.
func (s Scope) Has(token string) bool { return slices.Contains(s, token) }

// Missing returns the first of the wanted tokens that s does not contain, and
// whether there is one.
func (s Scope) Missing(wanted ...string) (token string, missing bool) {
	for _, t := range wanted {
		if !s.Has(t) {
			return t, true
		}
	}
	return "", false
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
