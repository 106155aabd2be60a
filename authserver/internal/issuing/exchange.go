package issuing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// Responses to a token exchange (RFC 8693 section 2.2.2).
var (
	errSubject = oauth.ErrInvalidRequest.Describe(
		"subject_token is not an access token of this server, or is expired or revoked")
	errNotExchanged = oauth.ErrInvalidRequest.Describe(
		"subject_token is for an API whose tokens this client may not exchange")
	errNoUser = oauth.ErrInvalidRequest.Describe("subject_token is a service's: there is no user to act for")
	errDepth  = oauth.ErrInvalidRequest.Describe(
		fmt.Sprintf("subject_token was exchanged %d times, which is as often as it may be", grant.MaxActors))
	errNotTarget = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "this client may not exchange tokens for that API",
	}
	errTargets = &oauth.Error{
		Code: oauth.CodeInvalidTarget, Description: "resource and audience name two APIs: a token is for one",
	}
)

// tokenExchange runs the token exchange grant (RFC 8693 section 2): an API that got an access token from a client
// gets one for another API, to act for the same user there. The new token is narrower, and ends with the subject
// token's grant. It is bound to the key of the API's own proof, if the request has one. The API has no proof of the
// key that the subject token is bound to, and needs none: it authenticates.
func (s *Service) tokenExchange(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	if err := checkExchange(r); err != nil {
		return oauth.TokenResponse{}, err
	}
	subject, err := s.subject(ctx, r)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	api, err := s.exchangeTarget(ctx, r)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	scope, err := exchangedScope(r, api, subject.claims.Scope)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	g := s.exchangeGrant(r.Client, subject, api, scope)
	if err := r.useProof(ctx); err != nil {
		return oauth.TokenResponse{}, err
	}
	g.Number, err = s.cfg.Store.StartExchange(ctx, g)
	if errors.Is(err, grant.ErrInactive) { // it was revoked meanwhile
		err = errSubject
	}
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	response, err := s.mint(ctx, r, api, subject.user, g, "")
	response.IssuedTokenType = oauth.TokenTypeAccess
	return response, err
}

// exchangeGrant returns the grant of an exchanged token, which is not stored yet. It ends when the subject token
// does.
func (s *Service) exchangeGrant(c client.Client, subject foundToken, api resource.API, scope oauth.Scope) grant.Grant {
	now := s.cfg.Now()
	expires := subject.claims.ExpiresAt
	if latest := now.Add(s.cfg.Lifetime); latest.Before(expires) {
		expires = latest
	}
	return grant.Grant{
		Type:         oauth.GrantTokenExchange,
		ClientID:     c.ID,
		SecretDigest: c.SecretDigest,
		UserID:       subject.user.ID,
		Session:      subject.grant.Session,
		Audience:     api.Audience,
		Scope:        scope,
		CreatedAt:    now,
		ExpiresAt:    expires,
		Parent:       subject.grant.Number,
		Authentication: grant.Authentication{
			At: subject.grant.Authentication.At, Methods: subject.grant.Authentication.Methods,
		},
		Actors: slices.Concat([]string{c.ID}, subject.grant.Actors),
	}
}

// checkExchange checks the parameters of a token exchange that name types and actors.
func checkExchange(r Request) error {
	issued := cmp.Or(r.Form.Get("requested_token_type"), oauth.TokenTypeAccess)
	switch {
	case r.Form.Get("subject_token_type") != oauth.TokenTypeAccess:
		return oauth.ErrInvalidRequest.Describe("subject_token_type must be " + oauth.TokenTypeAccess)
	case issued != oauth.TokenTypeAccess:
		return oauth.ErrInvalidRequest.Describe("requested_token_type must be " + oauth.TokenTypeAccess)
	case r.Form.Has("actor_token") || r.Form.Has("actor_token_type"):
		return oauth.ErrInvalidRequest.Describe("actor_token is not supported: the client that exchanges is the actor")
	}
	return nil
}

// subject returns the subject token of an exchange, which is active and may be exchanged by the client.
func (s *Service) subject(ctx context.Context, r Request) (foundToken, error) {
	claims, err := s.cfg.Verifier.Verify(ctx, r.Form.Get("subject_token"))
	if err != nil || !s.cfg.Now().Before(claims.ExpiresAt) { // no leeway: what is issued would be expired
		return foundToken{}, errSubject
	}
	found, err := s.grantOf(ctx, claims)
	if err == nil {
		_, err = s.active(ctx, found)
	}
	allowed := false
	if err == nil {
		allowed, err = s.names(ctx, r.Client.ExchangeFrom, claims.Audience[0])
	}
	switch {
	case errors.Is(err, ErrNotActive):
		return foundToken{}, errSubject
	case err != nil:
		return foundToken{}, err
	case !allowed:
		return foundToken{}, errNotExchanged
	case found.grant.UserID == "":
		return foundToken{}, errNoUser
	case claims.ExpiresAt.After(s.lastExpiry(found.grant)):
		return foundToken{}, errSubject // an API that has a key of its own has made it
	case len(found.grant.Actors) >= grant.MaxActors:
		return foundToken{}, errDepth
	}
	return found, nil
}

// lastExpiry returns when the last access token of a grant expires, by the current lifetime and with leeway for the
// clocks of other servers. A later expiry may be the forgery of an API that has a key of its own. This also refuses
// tokens from before the lifetime was lowered, until the client refreshes.
func (s *Service) lastExpiry(g grant.Grant) time.Time {
	return g.LastIssue(s.cfg.RefreshGrace).Add(s.cfg.Lifetime + token.DefaultLeeway)
}

// exchangeTarget returns the API that the client wants a token for, by resource or by audience, which mean the same
// here.
func (s *Service) exchangeTarget(ctx context.Context, r Request) (resource.API, error) {
	named, audience := r.Form.Get("resource"), r.Form.Get("audience")
	switch {
	case named == "" && audience == "":
		return resource.API{}, oauth.ErrInvalidRequest.Describe("missing: resource, the API that the new token is for")
	case named != "" && audience != "" && !resource.Same(named, audience):
		return resource.API{}, errTargets
	}
	api, err := s.Target(ctx, cmp.Or(named, audience))
	if err != nil {
		return resource.API{}, err
	}
	allowed, err := s.names(ctx, r.Client.ExchangeTo, api.Audience)
	if err == nil && !allowed {
		err = errNotTarget
	}
	if err == nil {
		err = s.CheckAdminClient(api, r.Client, oauth.GrantTokenExchange)
	}
	return api, err
}

// exchangedScope returns what the client gets of the scope that it requests: all of it, or invalid_scope. It gets
// nothing that the subject token does not have. Requesting nothing means all that it may have.
func exchangedScope(r Request, api resource.API, has oauth.Scope) (oauth.Scope, error) {
	requested, err := oauth.ParseScope(r.Form.Get("scope"))
	if err != nil {
		return nil, err
	}
	if name, missing := has.Missing(requested...); missing {
		return nil, oauth.ErrInvalidScope.Describe("subject_token does not have the scope " + name)
	}
	granted, err := scopeWithin(api.Limit(r.Client.Scope).Common(has), api, requested)
	if err == nil && len(granted) == 0 {
		err = oauth.ErrInvalidScope.Describe("subject_token has no scope that this client may have at that API")
	}
	return granted, err
}

// names reports whether a list of audiences, which may have client.DefaultAPI, names an API. Another spelling of the
// audience counts only if it names this API where clients send it as resource: two APIs may differ in a slash.
func (s *Service) names(ctx context.Context, audiences []string, audience string) (bool, error) {
	for _, named := range audiences {
		if named == client.DefaultAPI {
			named = s.cfg.Audience
		}
		if named == audience {
			return true, nil
		}
		if !resource.Same(named, audience) {
			continue
		}
		api, err := s.API(ctx, named)
		if err == nil && api.Audience == audience {
			return true, nil
		}
		if err != nil && !errors.Is(err, record.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

// expiry returns when an access token of a grant expires that is issued now.
func (s *Service) expiry(g grant.Grant, now time.Time) time.Time {
	if g.Parent != 0 {
		return g.ExpiresAt // at most that of the subject token
	}
	return now.Add(s.cfg.Lifetime)
}
