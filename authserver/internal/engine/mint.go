package engine

import (
	"context"
	"errors"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// minter is the library's AccessGenerate, and the one place that makes tokens.
type minter struct{ cfg Config }

// Token starts a grant and signs the access token of it. The grant comes first: the
// token says its number.
func (m *minter) Token(ctx context.Context, data *oauth2.GenerateBasic, _ bool) (access, refresh string, err error) {
	user, err := m.cfg.Users.UserByID(ctx, data.UserID)
	if errors.Is(err, account.ErrNotFound) {
		return "", "", grant.ErrInactive
	}
	if err != nil {
		return "", "", err
	}
	g, err := m.start(ctx, data)
	if err != nil {
		return "", "", err
	}
	access, err = m.cfg.Signer.Sign(&token.Claims{
		Issuer:    m.cfg.Issuer,
		Subject:   user.ID,
		Audience:  []string{m.cfg.Audience},
		ClientID:  g.ClientID,
		ID:        uuid.NewString(),
		IssuedAt:  g.CreatedAt,
		ExpiresAt: g.ExpiresAt,
		Scope:     g.Scope,
		Username:  user.Username,
		Name:      user.Name,
		Status:    g.Status(m.cfg.Issuer),
	})
	return access, "", err
}

func (m *minter) start(ctx context.Context, data *oauth2.GenerateBasic) (grant.Grant, error) {
	scope, err := oauth.ParseScope(data.TokenInfo.GetScope())
	if err != nil {
		return grant.Grant{}, err
	}
	now := m.cfg.Now()
	g := grant.Grant{
		Type:      oauth.GrantPassword,
		ClientID:  data.Client.GetID(),
		UserID:    data.UserID,
		Scope:     scope,
		CreatedAt: now,
		ExpiresAt: now.Add(m.cfg.Lifetime),
	}
	g.Number, err = m.cfg.Grants.StartGrant(ctx, g)
	return g, err
}
