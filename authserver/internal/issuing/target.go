package issuing

import (
	"cmp"
	"context"
	"errors"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// ErrTarget says that a request names an API that is not registered.
var ErrTarget = &oauth.Error{
	Code: oauth.CodeInvalidTarget, Description: "resource names no API that is registered here",
}

// Other errors about the API that a token is for (RFC 8707 section 2).
var (
	errNoKey = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "the API is registered here, but has no key that signs its tokens yet",
	}
	errGone = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "the API that was granted is no longer registered",
	}
	errOther = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "resource names another API than the one that was granted",
	}
)

// Target returns the API that a client names as resource (RFC 8707); naming none means the
// default API. The error is ErrTarget if it is not registered, and invalid_target as well if
// no key may sign its tokens: a secret is never used for another API.
func (s *Service) Target(ctx context.Context, named string) (resource.API, error) {
	api, err := s.API(ctx, cmp.Or(named, s.cfg.Audience))
	if errors.Is(err, record.ErrNotFound) {
		return resource.API{}, ErrTarget
	}
	if err != nil {
		return resource.API{}, err
	}
	return api, s.signable(ctx, api.Audience)
}

// API returns the registered API that a resource parameter names: the one with this audience, or
// the only one whose audience is the same URI (RFC 3986 section 6.2.3). Tokens keep the audience
// as it is registered. The error is record.ErrNotFound if no API matches.
func (s *Service) API(ctx context.Context, named string) (resource.API, error) {
	return s.records.apis.get(ctx, named)
}

// sameTarget returns the API of a grant or code. The request may name it again, but no other
// API. It must still be registered and have a key.
func (s *Service) sameTarget(ctx context.Context, named, granted string) (resource.API, error) {
	if named != "" && !resource.Same(named, granted) {
		return resource.API{}, errOther
	}
	api, err := s.records.exactAPI(ctx, granted)
	if errors.Is(err, record.ErrNotFound) {
		return resource.API{}, errGone
	}
	if err != nil {
		return resource.API{}, err
	}
	return api, s.signable(ctx, granted)
}

// signable returns an error unless tokens can be signed for an API: errNoKey, and
// keyring.ErrNoSigner if the server can sign nothing at all.
func (s *Service) signable(ctx context.Context, audience string) error {
	if s.cfg.Signer.CanSign(audience) {
		return nil
	}
	if _, err := s.cfg.Signer.Key([]string{s.cfg.Audience}); err != nil {
		return err
	}
	s.cfg.Log.WarnContext(ctx, "no token for an API yet: no key signs for it. "+
		"A key that was just added is read within seconds, and signs from the time that 'key list' shows; "+
		"an API without one needs a secret ('api add --secret-to'), or the server an asymmetric key", "api", audience)
	return errNoKey
}

// clientScope returns what a client gets of the scope that it requests for an API: all of it, or
// invalid_scope. Requesting nothing means all that the client may have (RFC 6749 section 3.3).
//
// A client that no administrator added gets no token without a scope. HALLPASS_UNREGISTERED_SCOPE may have been changed
// since it registered, and leave it none.
func clientScope(c client.Client, api resource.API, requested oauth.Scope) (oauth.Scope, error) {
	granted, err := scopeWithin(api.Limit(c.Scope), api, requested)
	if err == nil {
		err = mustHaveScope(c, granted)
	}
	return granted, err
}

// mustHaveScope returns errNoScope if a client that needs a scope gets none: see clientScope.
func mustHaveScope(c client.Client, granted oauth.Scope) error {
	if len(granted) == 0 && c.Source != client.SourceAdministrator {
		return errNoScope
	}
	return nil
}

// errNoScope is for a client that has no scope of an API.
var errNoScope = oauth.ErrInvalidScope.Describe("this client has no scope of that API")

// scopeWithin is clientScope for a client that may have the allowed scope.
func scopeWithin(allowed oauth.Scope, api resource.API, requested oauth.Scope) (oauth.Scope, error) {
	if len(requested) == 0 {
		requested = allowed
	}
	if name, missing := allowed.Missing(requested...); missing {
		text := "this client may not ask for the scope " + name
		if !api.AnyScope {
			text += " of that API"
		}
		return nil, oauth.ErrInvalidScope.Describe(text)
	}
	if len(requested) == 0 && !api.AnyScope {
		return nil, errNoScope
	}
	return requested, nil
}

// errNothingLeft makes the client send the user to log in again: a new login gives what the
// client may have now.
var errNothingLeft = oauth.ErrInvalidGrant.Describe(
	"nothing of the scope that was granted is still allowed to this client")

// remainingScope returns what a client may still have of a scope that was granted: the client
// or the API may have been changed since.
func remainingScope(c client.Client, api resource.API, granted oauth.Scope) (oauth.Scope, error) {
	left := granted.Common(allowedWith(c, api, granted))
	if len(left) == 0 && len(granted) > 0 {
		return nil, errNothingLeft
	}
	return left, nil
}
