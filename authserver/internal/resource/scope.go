package resource

import (
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// maxDescription limits the description of a scope, in bytes, to one line on a page.
const maxDescription = 128

// ScopeDescription tells users what a client with the scope may do.
type ScopeDescription struct {
	// Scope is a single scope token (RFC 6749 section 3.3).
	Scope string
	// Text continues "the app asks to:", so it starts with a verb.
	Text string
}

// Validate returns ErrBad or oauth.ErrInvalidScope if the description is not valid.
func (d ScopeDescription) Validate() error {
	scope, err := oauth.ParseScope(d.Scope)
	if err != nil {
		return err
	}
	if len(scope) != 1 || scope[0] != d.Scope {
		return fmt.Errorf("%w: %q is not one scope", ErrBad, d.Scope)
	}
	if err := record.CheckName("description", d.Text, maxDescription); err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	return nil
}
