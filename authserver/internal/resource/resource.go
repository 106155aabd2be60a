// Package resource defines the APIs that tokens are for: the protected resources of RFC 6749 and
// RFC 8707.
//
// A token is for one API. The server's settings name the default API. More can be registered, each
// with its own scopes. APIs that share a secret with the server can have one of their own, so that
// a compromised API can forge tokens only for itself.
package resource

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// maxName limits a name, in bytes.
const maxName = 128

// Errors about APIs.
var (
	// ErrDefault means that the API cannot be deleted because it is the default API.
	ErrDefault = errors.New("it is the default API, the one of the server's --audience")
	// ErrBad means that an API or a description is not valid. The text says why.
	ErrBad = errors.New("not usable")
)

// API is a protected resource.
type API struct {
	// Audience is the identifier: the resource parameter of requests and the aud claim of tokens.
	Audience string
	// Name is the display name.
	Name string
	// Scope has the scopes that tokens for the API may have; nil if AnyScope is set.
	Scope oauth.Scope
	// AnyScope means that tokens for the API may have every scope of the client. The default API
	// is registered like that.
	AnyScope bool
	// CreatedAt is when the API was registered.
	CreatedAt time.Time
	// Admin says that this is the admin API of the server that has read the record. It is not stored.
	Admin bool
}

// AdminScope is the scope that administers a server. It belongs to the server's admin API: tokens for other APIs never
// have it.
const AdminScope = "hallpass:admin"

// Validate returns ErrBad if the API cannot be registered.
func (a API) Validate() error {
	if err := oauth.ValidateAudience(a.Audience); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	if err := record.CheckName("name", a.Name, maxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	if len(a.Scope) == 0 && !a.AnyScope {
		return fmt.Errorf("%w: it has no scope, so its tokens would allow nothing", ErrBad)
	}
	return nil
}

// Limit returns what tokens for the API may allow of a scope.
func (a API) Limit(scope oauth.Scope) oauth.Scope {
	if a.Admin {
		return scope.Common(oauth.Scope{AdminScope})
	}
	if scope.Has(AdminScope) {
		scope = slices.DeleteFunc(slices.Clone(scope), func(name string) bool { return name == AdminScope })
	}
	if a.AnyScope {
		return scope
	}
	return scope.Common(a.Scope)
}
