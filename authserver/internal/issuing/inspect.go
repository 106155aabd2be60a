package issuing

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// ErrNotActive says that a token is unknown, expired, revoked or replaced.
var ErrNotActive = errors.New("token not active")

// Inspection is what is known about an active token.
type Inspection struct {
	// Grant is the grant that the token belongs to.
	Grant grant.Grant
	// Claims are those of an access token; nil for a refresh token.
	Claims *token.Claims
	// User is what the scope shows of the user at the userinfo endpoint. It is the zero value for a service.
	User oauth.UserInfo
	// Owner is the user; the zero value for a service.
	Owner account.User
}

// Scope returns the scope of the token: of the claims, or of the grant of a refresh token.
func (i Inspection) Scope() oauth.Scope {
	if i.Claims != nil {
		return i.Claims.Scope
	}
	return i.Grant.Scope
}

// Inspect returns what a client may know about an access or refresh token, with every
// revocation in effect at once. The error is ErrNotActive unless the token is active, and an
// access token for one of the client's APIs or a refresh token of the client itself (RFC 7662
// section 4). It changes nothing.
func (s *Service) Inspect(ctx context.Context, c client.Client, text string) (Inspection, error) {
	found, err := s.find(ctx, text)
	if err != nil {
		return Inspection{}, err
	}
	allowed, err := s.introspects(ctx, c, found)
	if err != nil {
		return Inspection{}, err
	}
	if !allowed {
		return Inspection{}, ErrNotActive
	}
	return s.active(ctx, found)
}

// introspects reports whether a client may know about a token, which has not expired. Unlike the verifier it has no
// leeway, because this is the clock that issued the token (RFC 7662 section 2.2).
func (s *Service) introspects(ctx context.Context, c client.Client, found foundToken) (bool, error) {
	if t := found.refresh; t != nil {
		return t.verdict == grant.Current && t.valid && t.grant.ClientID == c.ID, nil
	}
	if !s.cfg.Now().Before(found.claims.ExpiresAt) {
		return false, nil
	}
	return s.names(ctx, c.IntrospectsFor, found.claims.Audience[0])
}

// InspectClaims returns what is known about an access token that has been verified already. The
// error is ErrNotActive unless the token is active.
func (s *Service) InspectClaims(ctx context.Context, claims *token.Claims) (Inspection, error) {
	found, err := s.grantOf(ctx, claims)
	if err != nil {
		return Inspection{}, err
	}
	return s.active(ctx, found)
}

// errForeign is the response to a client that revokes a token of another one.
var errForeign = oauth.ErrUnauthorizedClient.Describe("the token was issued to another client")

// Revoke ends the grant of an access or refresh token, and with it every token of the grant
// (RFC 7009 section 2.1). A replaced refresh token ends its grant too: the client wants it to
// end. A token that is not active needs no revoking. The error is unauthorized_client if the
// token was issued to another client.
func (s *Service) Revoke(ctx context.Context, c client.Client, text string) error {
	found, err := s.find(ctx, text)
	if errors.Is(err, ErrNotActive) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.grant.ClientID != c.ID {
		return errForeign
	}
	_, err = s.cfg.Store.RevokeGrant(ctx, found.grant.Number, s.cfg.Now())
	if err == nil && found.grant.UserID == "" {
		err = s.records.dropServiceGrant(ctx, c)
	}
	return err
}

// foundToken is the grant of a token with its user, and the claims of an access token or the verdict
// on a refresh token. The user is the zero value for a service, or if deleted.
type foundToken struct {
	grant   grant.Grant
	user    account.User
	claims  *token.Claims
	refresh *judgedToken
}

// find detects whether a text is an access or a refresh token and finds its grant, which may
// have ended. The error is ErrNotActive if the token never belonged to a grant.
func (s *Service) find(ctx context.Context, text string) (foundToken, error) {
	if t, err := grant.ParseRefreshToken(text); err == nil {
		judged, err := s.judge(ctx, t)
		if err == nil && judged.verdict == grant.Unknown {
			err = ErrNotActive
		}
		return foundToken{grant: judged.grant, user: judged.user, refresh: &judged}, err
	}
	claims, err := s.cfg.Verifier.Verify(ctx, text)
	if err != nil {
		return foundToken{}, ErrNotActive
	}
	return s.grantOf(ctx, claims)
}

// grantOf returns the grant that a verified access token belongs to. The error is ErrNotActive
// if no grant matches, or if the API of the token was deleted: that ends all tokens for it, also
// those of services, whose grants go on for other APIs.
func (s *Service) grantOf(ctx context.Context, claims *token.Claims) (foundToken, error) {
	if len(claims.Audience) != 1 {
		return foundToken{}, ErrNotActive
	}
	audience := claims.Audience[0]
	lists, err := s.records.currentLists(ctx)
	if err != nil {
		return foundToken{}, err
	}
	number, ok := lists.NumberOf(audience, claims.Status)
	if !ok {
		return foundToken{}, ErrNotActive
	}
	g, user, err := s.cfg.Store.GrantWithUser(ctx, number)
	if err == nil && !s.matches(claims, g) {
		return foundToken{}, ErrNotActive
	}
	if err == nil {
		_, err = s.records.exactAPI(ctx, audience)
	}
	if errors.Is(err, record.ErrNotFound) {
		return foundToken{}, ErrNotActive
	}
	return foundToken{grant: g, user: user, claims: claims}, err
}

// matches reports whether a token with these claims can belong to the grant. An API that has
// a secret of its own can sign tokens with the number of any grant, and with a scope or an
// expiry that was never granted. The expiry is checked against the longest lifetime that can be
// configured: the lifetime may have been lowered, and APIs accept older tokens until they expire.
func (s *Service) matches(claims *token.Claims, g grant.Grant) bool {
	if claims.ClientID != g.ClientID || claims.Subject != cmp.Or(g.UserID, g.ClientID) {
		return false
	}
	if claims.ExpiresAt.After(s.cfg.Now().Add(grant.MaxTokenLifetime + token.DefaultLeeway)) {
		return false
	}
	if !slices.Equal(claims.Actors, g.Actors) || (g.Parent != 0 && claims.ExpiresAt.After(g.ExpiresAt)) {
		return false
	}
	if g.UserID == "" { // a service: see serviceMatches
		return true
	}
	_, exceeds := g.Scope.Missing(claims.Scope...)
	return !exceeds && slices.Equal(claims.Audience, []string{g.Audience})
}

// serviceMatches reports whether the scope of a service's token is within what the client may
// have at the API. The grant of a service is for every API and has no scope of its own. It does
// not keep a client from revoking its tokens after its scope was narrowed.
func (s *Service) serviceMatches(ctx context.Context, claims *token.Claims) (bool, error) {
	c, err := s.ClientByID(ctx, claims.ClientID)
	if err != nil {
		return false, err
	}
	api, err := s.records.exactAPI(ctx, claims.Audience[0])
	_, exceeds := api.Limit(c.Scope).Missing(claims.Scope...)
	return !exceeds, err
}

// active returns the inspection of a token, or ErrNotActive if its grant has ended or its
// user is disabled or deleted.
func (s *Service) active(ctx context.Context, found foundToken) (Inspection, error) {
	if !found.grant.ActiveAt(s.cfg.Now()) {
		return Inspection{}, ErrNotActive
	}
	if err := s.stillAdmin(ctx, found); err != nil {
		return Inspection{}, err
	}
	shown := Inspection{Grant: found.grant, Claims: found.claims}
	if found.grant.UserID == "" {
		ok, err := s.serviceMatches(ctx, found.claims)
		if errors.Is(err, record.ErrNotFound) || (err == nil && !ok) {
			return Inspection{}, ErrNotActive
		}
		return shown, err
	}
	if !isActive(found.user) {
		return Inspection{}, ErrNotActive
	}
	shown.Owner = found.user
	shown.User = identityOf(found.user, shown.Scope())
	return shown, nil
}
