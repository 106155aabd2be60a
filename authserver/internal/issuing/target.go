package issuing

import (
	"context"
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// APIs finds a registered API, or record.ErrNotFound.
type APIs interface {
	APIByAudience(ctx context.Context, audience string) (resource.API, error)
}

// ErrTarget is the answer to whoever names an API that is not registered.
var ErrTarget = &oauth.Error{Code: oauth.CodeInvalidTarget, Description: "resource names no API that is registered here"}

// Further errors about the API that a token is asked for.
var (
	errNoKey = &oauth.Error{Code: oauth.CodeInvalidTarget, Description: "the API that resource names is registered here, but has no key that signs its tokens yet"}
	errGone  = &oauth.Error{Code: oauth.CodeInvalidTarget, Description: "the API that was granted is not registered any more"}
	errOther = &oauth.Error{Code: oauth.CodeInvalidTarget, Description: "resource names another API than the one that was granted"}
)

// Target finds the API that a client names as resource; naming none means the one of
// the settings, for which the zero API stands. One that is not registered, or has no key
// that may sign its tokens, is invalid_target: a secret is never lent to another API.
func (e *Engine) Target(ctx context.Context, audience string) (resource.API, error) {
	if audience == e.cfg.Audience {
		audience = ""
	}
	return e.cfg.signable(ctx, audience, ErrTarget)
}

// signable returns an API that tokens can be made for; where it is not registered, the
// error is missing.
func (c *Config) signable(ctx context.Context, audience string, missing error) (resource.API, error) {
	if audience == "" {
		return resource.API{}, nil
	}
	api, err := c.APIs.APIByAudience(ctx, audience)
	switch {
	case errors.Is(err, record.ErrNotFound):
		return resource.API{}, missing
	case err == nil && !c.Signer.CanSign(api.Audience):
		c.Log.WarnContext(ctx, "no token for an API: give it a secret of its own by 'api add --secret-to', or the server an asymmetric key", "api", api.Audience)
		return resource.API{}, errNoKey
	}
	return api, err
}

// Scope returns what a client may have of what it asks for: it is all or an error. Asking
// for nothing means all that the client may have of the API (RFC 6749 §3.3).
func Scope(c client.Client, api resource.API, asked oauth.Scope) (oauth.Scope, error) {
	allowed := allowedScope(c, api)
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

// allowedScope is what a client may have of an API at the most.
func allowedScope(c client.Client, api resource.API) oauth.Scope {
	if api.Audience == "" {
		return c.Scope
	}
	return common(c.Scope, api.Scope)
}

// errNothingLeft sends a client back to its user: what a new login gives is what the
// client may have now.
var errNothingLeft = oauth.ErrInvalidGrant.Describe("nothing of the scope that was granted is allowed to this client any more")

// remainingScope returns what is left to a client of what was granted: since then it, or
// the API, may have been changed. The grant itself stays as it was given.
func remainingScope(c client.Client, api resource.API, granted oauth.Scope) (oauth.Scope, error) {
	left := common(granted, allowedScope(c, api))
	if len(left) == 0 && len(granted) > 0 {
		return nil, errNothingLeft
	}
	return left, nil
}

// common returns what is in both scopes, in the order of a.
func common(a, b oauth.Scope) (both oauth.Scope) {
	for _, t := range a {
		if b.Has(t) {
			both = append(both, t)
		}
	}
	return both
}

// sameTarget returns the API of the grant or code at hand, and refuses a resource that is
// another one. It need not be named again, but it must be registered still, and have a key.
func (c *Config) sameTarget(ctx context.Context, named, granted string) (resource.API, error) {
	if named != "" && named != granted && (named != c.Audience || granted != "") {
		return resource.API{}, errOther
	}
	return c.signable(ctx, granted, errGone)
}
