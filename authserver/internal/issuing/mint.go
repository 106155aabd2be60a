package issuing

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// start stores a new grant that the user gives the client, and returns its first tokens. The
// caller says of the grant how it is given, for what, and by which function it is stored;
// that function returns the grant's number. The grant can be refreshed if both its type and
// the client allow it.
func (s *Service) start(
	ctx context.Context,
	c client.Client,
	user account.User,
	g grant.Grant,
	store func(context.Context, grant.Grant) (number int64, err error),
) (oauth.TokenResponse, error) {
	g.ClientID, g.UserID, g.CreatedAt = c.ID, user.ID, s.cfg.Now()
	g.ExpiresAt = g.CreatedAt.Add(s.cfg.Lifetime)
	known, _ := grant.TypeOf(g.Type)
	refreshes := known.Refreshable && c.Allows(oauth.GrantRefreshToken)
	var first grant.RefreshToken
	var err error
	if refreshes {
		first, g.Refresh, err = grant.NewRefresh(s.cfg.Random, g.CreatedAt.Add(s.cfg.RefreshLifetime))
		if err != nil {
			return oauth.TokenResponse{}, err
		}
		g.Refresh.ExpiresAt = s.refreshUntil(g.Refresh)
		g.ExpiresAt = s.keepUntil(g.Refresh)
	}
	if g.Number, err = store(ctx, g); err != nil {
		return oauth.TokenResponse{}, err
	}
	if !refreshes {
		return s.mint(ctx, c, user, g, "")
	}
	first.Number = g.Number
	return s.mint(ctx, c, user, g, first.String())
}

// mint signs an access token for a stored grant and returns the response. It is the one
// place where access tokens are made. The zero user means a service.
func (s *Service) mint(
	ctx context.Context,
	c client.Client,
	user account.User,
	g grant.Grant,
	refresh string,
) (oauth.TokenResponse, error) {
	if err := s.sameSecret(ctx, c); err != nil {
		return oauth.TokenResponse{}, err
	}
	lists, err := s.lists.get(ctx)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	now := s.cfg.Now()
	username, name := shownNames(user, g.Scope)
	access, err := s.cfg.Signer.Sign(&token.Claims{
		Issuer:    s.cfg.Issuer,
		Subject:   cmp.Or(user.ID, c.ID),
		Audience:  []string{g.Audience},
		ClientID:  c.ID,
		ID:        uuid.NewString(),
		IssuedAt:  now,
		ExpiresAt: now.Add(s.cfg.Lifetime),
		Scope:     g.Scope,
		Username:  username,
		Name:      name,
		Status:    lists.Status(g),
	})
	return oauth.TokenResponse{
		AccessToken:  access,
		TokenType:    tokenType,
		ExpiresIn:    int64(s.cfg.Lifetime / time.Second),
		Scope:        g.Scope.String(),
		RefreshToken: refresh,
	}, err
}

// scopeProfile is the scope that shows a user's names to the client and the API.
const scopeProfile = "profile"

// shownNames returns the user's username and full name if the scope shows them.
func shownNames(user account.User, scope oauth.Scope) (username, name string) {
	if !scope.Has(scopeProfile) {
		return "", ""
	}
	return user.Username, user.Name
}

// sameSecret refuses a client whose secret was replaced since the client was authenticated:
// it may have been replaced to end what the old secret can get. The grant is stored by then,
// so one that came too late to be revoked with the others gives no token.
func (s *Service) sameSecret(ctx context.Context, authenticated client.Client) error {
	if authenticated.Public() {
		return nil
	}
	c, err := s.cfg.Store.ClientByID(ctx, authenticated.ID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && c.SecretDigest != authenticated.SecretDigest) {
		return errNoClient
	}
	return err
}

// activeUser returns the user of a grant or code; grant.ErrInactive if the user is disabled
// or deleted.
func (s *Service) activeUser(ctx context.Context, id string) (account.User, error) {
	user, err := s.cfg.Store.UserByID(ctx, id)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !user.Active()) {
		return account.User{}, grant.ErrInactive
	}
	return user, err
}

// refreshUntil returns when a refresh token that is issued now expires: when it has been idle
// for too long, or when refreshing ends.
func (s *Service) refreshUntil(r grant.Refresh) time.Time {
	until := s.cfg.Now().Add(s.cfg.RefreshIdle)
	if r.EndsAt.Before(until) {
		return r.EndsAt
	}
	return until
}

// keepUntil returns when the last token of a grant expires that is refreshed now: its refresh
// token or its last access token. The latter may be given for the refresh token that is
// replaced now, at the end of the grace period.
func (s *Service) keepUntil(r grant.Refresh) time.Time {
	access := s.cfg.Now().Add(s.cfg.RefreshGrace + s.cfg.Lifetime)
	if r.ExpiresAt.Before(access) {
		return access
	}
	return r.ExpiresAt
}
