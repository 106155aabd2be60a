package resource

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/shared/oauth"
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
	switch {
	case err != nil:
		return err
	case len(scope) != 1 || scope[0] != d.Scope:
		return fmt.Errorf("%w: %q is not one scope", ErrBad, d.Scope)
	case strings.TrimSpace(d.Text) == "" || len(d.Text) > maxDescription || !utf8.ValidString(d.Text):
		return fmt.Errorf("%w: the description must be 1 to %d bytes of UTF-8", ErrBad, maxDescription)
	case strings.ContainsFunc(d.Text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%w: the description has a character that cannot be printed", ErrBad)
	}
	return nil
}
