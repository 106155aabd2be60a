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
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// start stores a new grant of the user for the client of a request, and returns its first tokens. g says how the grant
// was given and for what; store writes it and returns its number. The grant can be refreshed if both its type and the
// client allow it.
func (s *Service) start(
	ctx context.Context,
	r Request,
	api resource.API,
	user account.User,
	g grant.Grant,
	store func(context.Context, grant.Grant) (number int64, err error),
) (oauth.TokenResponse, error) {
	c := r.Client
	if err := s.checkAdmin(api, c, user, g.Type); err != nil {
		return oauth.TokenResponse{}, err
	}
	g.ClientID, g.SecretDigest, g.UserID, g.CreatedAt = c.ID, c.SecretDigest, user.ID, s.cfg.Now()
	g.KeyThumbprint, g.Place = r.bindsRefresh(), account.NewPlace(r.Address, r.Agent)
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
	if session := g.CreatedAt.Add(grant.SessionLifetime); g.Authentication.SessionID != "" && g.ExpiresAt.Before(session) {
		g.ExpiresAt = session // so that the client is told of a logout
	}
	if err := s.checkIDTokenKey(c, g); err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := r.useProof(ctx); err != nil {
		return oauth.TokenResponse{}, err
	}
	if g.Number, err = store(ctx, g); err != nil {
		return oauth.TokenResponse{}, err
	}
	if !refreshes {
		return s.mint(ctx, r, api, user, g, "")
	}
	first.Number = g.Number
	return s.mint(ctx, r, api, user, g, first.String())
}

// mint signs an access token for a stored grant and returns the response. It is the one
// place where access tokens are made. The zero user means a service.
func (s *Service) mint(
	ctx context.Context,
	r Request,
	api resource.API,
	user account.User,
	g grant.Grant,
	refresh string,
) (oauth.TokenResponse, error) {
	lists, err := s.records.currentLists(ctx)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	id, err := uuid.NewRandomFromReader(s.cfg.Random)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	now := s.cfg.Now()
	expires := s.expiry(g, now)
	shown := identityOf(user, api.Limit(g.Scope)) // the client may see more than the API has asked for
	access, err := s.cfg.Signer.Sign(&token.Claims{
		Issuer:    s.cfg.Issuer,
		Subject:   cmp.Or(user.ID, r.Client.ID),
		Audience:  []string{g.Audience},
		ClientID:  r.Client.ID,
		ID:        id.String(),
		IssuedAt:  now,
		ExpiresAt: expires,
		Scope:     g.Scope,
		Username:  shown.PreferredUsername,
		Name:      shown.Name,
		Groups:    shown.Groups,
		Actors:    g.Actors,
		Status:    lists.Status(g),

		AuthTime: g.Authentication.At,
		ACR:      g.Authentication.ACR(),
		Methods:  g.Authentication.Methods,

		KeyThumbprint: r.KeyThumbprint,
	})
	return oauth.TokenResponse{
		AccessToken:  access,
		TokenType:    TokenTypeOf(r.KeyThumbprint),
		ExpiresIn:    int64(expires.Sub(now) / time.Second),
		Scope:        g.Scope.String(),
		RefreshToken: refresh,
	}, err
}

// activeUser returns the user of a grant or code; grant.ErrInactive if the user is disabled
// or deleted.
func (s *Service) activeUser(ctx context.Context, id string) (account.User, error) {
	user, err := s.cfg.Store.UserByID(ctx, id)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !isActive(user)) {
		return account.User{}, grant.ErrInactive
	}
	return user, err
}

// isActive reports whether a user may log in. The zero user, of a grant whose user was deleted, may not.
func isActive(user account.User) bool { return user.ID != "" && user.Active() }

// refreshUntil returns when a refresh token that is issued now expires: when it has been idle
// for too long, or when refreshing ends.
func (s *Service) refreshUntil(r grant.Refresh) time.Time {
	until := s.cfg.Now().Add(s.cfg.RefreshIdle)
	if r.EndsAt.Before(until) {
		return r.EndsAt
	}
	return until
}

// keepUntil returns until when a grant with refresh tokens is kept if it is refreshed to the end: until the last access
// token expires that can be given for its last refresh token, at the end of the grace period. It does not move with
// each refresh, because the database has an index of it.
func (s *Service) keepUntil(r grant.Refresh) time.Time {
	return r.EndsAt.Add(s.cfg.RefreshGrace + s.cfg.Lifetime)
}
