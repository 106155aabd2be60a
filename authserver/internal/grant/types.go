package grant

import (
	"cmp"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Type describes a grant type of the token endpoint (RFC 6749 section 1.3).
type Type struct {
	// Name is the value of the grant_type parameter.
	Name oauth.GrantType
	// Short is how people write a name that is a URN; empty for the others.
	Short string
	// Required and Optional are the parameters of its requests, beside those that every
	// token request may have: see Parameters.
	Required, Optional []string
	// Refreshable says that it starts grants that a client may refresh.
	Refreshable bool
	// Confidential says that only clients with a secret may use it.
	Confidential bool
	// Redirects says that it sends the browser back to the client, which needs a redirect
	// URI for it.
	Redirects bool
	// Multipart says that the request may be multipart/form-data as well, as in the FastAPI
	// tutorial that Hallpass grew from.
	Multipart bool
}

// Types are the grant types that Hallpass knows, in the order in which people are told of
// them. The command line, the checks of a client, the token endpoint and the metadata read
// this table; package issuing has the function that runs each type.
var Types = []Type{
	{ // RFC 6749 section 4.1, RFC 7636
		Name:        oauth.GrantAuthorizationCode,
		Required:    []string{"code", "code_verifier"},
		Optional:    []string{"redirect_uri"},
		Refreshable: true,
		Redirects:   true,
	},
	{ // RFC 6749 section 4.3
		Name:        oauth.GrantPassword,
		Required:    []string{"username", "password"},
		Refreshable: true,
		Multipart:   true,
	},
	{ // RFC 6749 section 6
		Name:     oauth.GrantRefreshToken,
		Required: []string{"refresh_token"},
	},
	{ // RFC 6749 section 4.4
		Name:         oauth.GrantClientCredentials,
		Confidential: true,
	},
	{ // RFC 8628 section 3.4
		Name:        oauth.GrantDeviceCode,
		Short:       "device_code",
		Required:    []string{"device_code"},
		Refreshable: true,
	},
	{ // RFC 8693 section 2.1
		Name:         oauth.GrantTokenExchange,
		Short:        "token_exchange",
		Required:     []string{"subject_token", "subject_token_type"},
		Optional:     []string{"requested_token_type", "audience", "actor_token", "actor_token_type"},
		Confidential: true,
	},
}

// String returns the type's name as people write it.
func (t Type) String() string { return cmp.Or(t.Short, string(t.Name)) }

// TypeWritten returns the grant type that people write like this, and whether there is one.
func TypeWritten(text string) (Type, bool) {
	i := slices.IndexFunc(Types, func(t Type) bool { return t.String() == text })
	if i < 0 {
		return Type{}, false
	}
	return Types[i], true
}

// TypeOf returns the grant type of this name, and whether there is one.
func TypeOf(name oauth.GrantType) (Type, bool) {
	i := slices.IndexFunc(Types, func(t Type) bool { return t.Name == name })
	if i < 0 {
		return Type{}, false
	}
	return Types[i], true
}

// TypeNames returns the names of all types.
func TypeNames() []oauth.GrantType {
	var names []oauth.GrantType
	for _, t := range Types {
		names = append(names, t.Name)
	}
	return names
}

// Parameters returns the names of all parameters that a token request may have.
func Parameters() []string {
	names := []string{
		"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "resource",
	}
	for _, t := range Types {
		names = append(append(names, t.Required...), t.Optional...)
	}
	return names
}
