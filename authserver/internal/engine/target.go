package engine

import (
	"context"
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// APIs finds a registered API, or resource.ErrNotFound.
type APIs interface {
	APIByAudience(ctx context.Context, audience string) (resource.API, error)
}

// CodeInvalidTarget is the error of RFC 8707 §2.
const CodeInvalidTarget oauth.ErrorCode = "invalid_target"

// Errors about the API that a token is asked for.
var (
	errTarget = &oauth.Error{Code: CodeInvalidTarget, Description: "resource names no API that is registered here"}
	errNoKey  = &oauth.Error{Code: CodeInvalidTarget, Description: "the API that resource names is registered here, but has no key that signs its tokens yet"}
	errGone   = &oauth.Error{Code: CodeInvalidTarget, Description: "the API that was granted is not registered any more"}
	errOther  = &oauth.Error{Code: CodeInvalidTarget, Description: "resource names another API than the one that was granted"}
)

// Target finds the API that a client names as resource; naming none means the one of
// the settings, for which the zero API stands. One that is not registered, or has no key
// that may sign its tokens, is invalid_target: a secret is never lent to another API.
func (e *Engine) Target(ctx context.Context, audience string) (resource.API, error) {
	if audience == "" || audience == e.cfg.Audience {
		return resource.API{}, nil
	}
	api, err := e.cfg.APIs.APIByAudience(ctx, audience)
	switch {
	case errors.Is(err, resource.ErrNotFound):
		return resource.API{}, errTarget
	case err == nil && !e.cfg.Signer.CanSign(api.Audience):
		e.cfg.Log.WarnContext(ctx, "no token for an API: give it a secret of its own by 'api add --secret-to', or the server an asymmetric key", "api", api.Audience)
		return resource.API{}, errNoKey
	}
	return api, err
}

// Scope returns what a client may have of what it asks for: it is all or an error. Asking
// for nothing means all that the client may have of the API (RFC 6749 §3.3).
func Scope(c client.Client, api resource.API, asked oauth.Scope) (oauth.Scope, error) {
	allowed := c.Scope
	if api.Audience != "" {
		allowed = nil
		for _, t := range c.Scope {
			if api.Scope.Has(t) {
				allowed = append(allowed, t)
			}
		}
	}
	if len(asked) == 0 {
		asked = allowed
	}
	if name, missing := allowed.Missing(asked...); missing {
		text := "this client may not ask for the scope " + name
		if api.Audience != "" {
			text += " of that API"
		}
		return nil, oauth.ErrInvalidScope.Describe(text)
	}
	if len(asked) == 0 && api.Audience != "" {
		return nil, oauth.ErrInvalidScope.Describe("this client has no scope of that API")
	}
	return asked, nil
}

// sameTarget refuses a resource that is not the API of the grant or code at hand. It
// need not be named again, but it must be registered still.
func (c *Config) sameTarget(ctx context.Context, named, granted string) error {
	if named != "" && named != granted && (named != c.Audience || granted != "") {
		return errOther
	}
	if granted == "" {
		return nil
	}
	_, err := c.APIs.APIByAudience(ctx, granted)
	if errors.Is(err, resource.ErrNotFound) {
		return errGone
	}
	return err
}
