// Package resource is about the APIs that tokens are for: protected resources, in the
// words of RFC 6749 and RFC 8707.
//
// It exists so that a token is for one API and no other. There is always the one that
// the server is set up with; more can be registered, each with its own scopes and,
// where secrets are shared, with a secret of its own, so that an API that is broken
// into can forge tokens for itself alone.
package resource

import (
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/label"
)

// maxName bounds a name, in bytes.
const maxName = 128

// Errors about APIs.
var (
	// ErrNotFound says that no API of this identifier is registered.
	ErrNotFound = errors.New("no such API")
	// ErrExists says that the identifier is taken.
	ErrExists = errors.New("an API of this identifier exists already")
	// ErrDefault says that the API cannot be deleted because it is the default API.
	ErrDefault = errors.New("it is the default API, the one of the server's --audience")
	// ErrBad says that an API or a description cannot be stored like this; the text
	// says why.
	ErrBad = errors.New("not usable")
)

// API is a protected resource.
type API struct {
	// Audience identifies it: what a client names as resource, and the aud of tokens.
	Audience string
	// Name is what a person calls it.
	Name string
	// Scope is what tokens for it may allow; nil if AnyScope is set.
	Scope oauth.Scope
	// AnyScope says that tokens for it may allow whatever the client may have. The default
	// API is registered like that.
	AnyScope bool
	// CreatedAt is when it was registered.
	CreatedAt time.Time
}

// Validate checks what must hold for every API that is registered. The error is ErrBad.
func (a API) Validate() error {
	if err := oauth.ValidateAudience(a.Audience); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	if err := label.Check("name", a.Name, maxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	if len(a.Scope) == 0 && !a.AnyScope {
		return fmt.Errorf("%w: it has no scope, so its tokens would allow nothing", ErrBad)
	}
	return nil
}

// Limit returns what tokens for the API may allow of a scope.
func (a API) Limit(scope oauth.Scope) oauth.Scope {
	if a.AnyScope {
		return scope
	}
	return scope.Common(a.Scope)
}
