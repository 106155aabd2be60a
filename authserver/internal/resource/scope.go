package resource

import (
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/label"
)

// maxDescription bounds the description of a scope, in bytes: it is a line of a page.
const maxDescription = 128

// ErrNoScope says that the scope has no description.
var ErrNoScope = errors.New("no such scope is described")

// ScopeDescription says in the words of a user what a client with the scope may do.
type ScopeDescription struct {
	// Scope is a single scope token (RFC 6749 §3.3).
	Scope string
	// Text goes on from "the app asks to:", so it begins with a verb.
	Text string
}

// Validate checks what must hold for every description. The error is ErrBad or
// oauth.ErrInvalidScope.
func (d ScopeDescription) Validate() error {
	scope, err := oauth.ParseScope(d.Scope)
	if err != nil {
		return err
	}
	if len(scope) != 1 || scope[0] != d.Scope {
		return fmt.Errorf("%w: %q is not one scope", ErrBad, d.Scope)
	}
	if err := label.Check("description", d.Text, maxDescription); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	return nil
}
