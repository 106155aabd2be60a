package issuing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	liberrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// seedSize is the number of random bytes that lead from a refresh token to the next.
const seedSize = 32

// minter is the library's AccessGenerate, and the one place that makes tokens.
type minter struct{ cfg Config }

// Token makes an access token, and a refresh token where the client may use one. A
// grant that is new comes first: the token says its number.
func (m *minter) Token(ctx context.Context, data *oauth2.GenerateBasic, _ bool) (access, refresh string, err error) {
	scope, err := oauth.ParseScope(data.TokenInfo.GetScope())
	if err != nil {
		return "", "", err
	}
	user, err := m.user(ctx, data.UserID)
	if err != nil {
		return "", "", err
	}
	g := grant.Grant{Audience: callFrom(ctx).api.Audience, ClientID: data.Client.GetID(), UserID: data.UserID, Scope: scope, CreatedAt: m.cfg.Now()}
	switch info, ok := data.TokenInfo.(*refreshed); {
	case ok:
		g.Number, g.Audience = info.grant.Number, info.grant.Audience
		if g.Scope, err = m.refreshedScope(ctx, g, data.Request); err == nil {
			refresh, err = m.next(info)
		}
	case data.UserID == "":
		g.Number, err = m.cfg.Grants.ServiceGrant(ctx, g.ClientID, g.CreatedAt)
	default:
		g.Type = oauth.GrantType(data.Request.FormValue("grant_type"))
		g, refresh, err = m.start(ctx, g, data.Request)
	}
	if err == nil {
		err = m.sameSecret(ctx)
	}
	if err != nil {
		return "", "", err
	}
	data.TokenInfo.SetScope(g.Scope.String()) // for the answer
	access, err = m.sign(g, user)
	return access, refresh, err
}

// sameSecret refuses a client whose secret has been replaced since it was authenticated:
// the new one may be there to end what the old one gets. It is asked once the grant is
// there, so that a grant that was too late to be revoked gives no token.
func (m *minter) sameSecret(ctx context.Context) error {
	shown := clientFrom(ctx)
	if shown.Public() {
		return nil
	}
	c, err := m.cfg.Clients.ClientByID(ctx, shown.ID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && c.SecretDigest != shown.SecretDigest) {
		return liberrors.ErrInvalidClient
	}
	return err
}

// refreshedScope returns what a refreshed token may allow. What the client has lost since
// the grant was given is left out, unless it asks for that by name: this is refused, as it
// is in a request for a new grant.
func (m *minter) refreshedScope(ctx context.Context, g grant.Grant, r *http.Request) (oauth.Scope, error) {
	api, err := m.cfg.sameTarget(ctx, r.FormValue("resource"), g.Audience)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.FormValue("scope")) != "" {
		return Scope(clientFrom(ctx), api, g.Scope)
	}
	return remainingScope(clientFrom(ctx), api, g.Scope)
}

// user finds the user that a token is about; there is none behind a service. A user
// who is gone or disabled gets no token, whatever the grant.
func (m *minter) user(ctx context.Context, id string) (account.User, error) {
	if id == "" {
		return account.User{}, nil
	}
	user, err := m.cfg.Users.UserByID(ctx, id)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !user.Active()) {
		return account.User{}, grant.ErrInactive
	}
	return user, err
}

// start stores a new grant and returns it with its number, and with a refresh token if
// the client may use one.
func (m *minter) start(ctx context.Context, g grant.Grant, r *http.Request) (started grant.Grant, refresh string, err error) {
	g.ExpiresAt = g.CreatedAt.Add(m.cfg.Lifetime)
	var first grant.RefreshToken
	refreshes := clientFrom(ctx).Allows(oauth.GrantRefreshToken)
	if refreshes {
		first, g.Refresh, err = grant.NewRefresh(m.cfg.Random, g.CreatedAt.Add(m.cfg.RefreshLifetime))
		if err != nil {
			return g, "", err
		}
		g.Refresh.ExpiresAt = m.cfg.refreshUntil(g.Refresh)
		g.ExpiresAt = m.cfg.keepUntil(g.Refresh)
	}
	if g.Type == oauth.GrantAuthorizationCode {
		g, err = m.redeem(ctx, g, r)
	} else {
		g.PasswordVersion = callFrom(ctx).verified.PasswordVersion
		g.Number, err = m.cfg.Grants.StartGrant(ctx, g)
	}
	if err != nil || !refreshes {
		return g, "", err
	}
	first.Number = g.Number
	return g, first.String(), nil
}

// redeem turns a code into a grant. A second use of a code ends the grant that the
// first one gave: one of the two users is a thief (OAuth 2.1 §4.1.3).
func (m *minter) redeem(ctx context.Context, g grant.Grant, r *http.Request) (grant.Grant, error) {
	digest := secret.Digest(r.FormValue("code"))
	c, err := m.cfg.Grants.CodeByDigest(ctx, digest)
	if err != nil {
		return g, err
	}
	api, err := m.cfg.sameTarget(ctx, r.FormValue("resource"), c.Audience)
	if err != nil {
		return g, err
	}
	if g.Scope, err = remainingScope(clientFrom(ctx), api, c.Scope); err != nil {
		return g, err
	}
	g.Audience = c.Audience
	g.Number, err = m.cfg.Grants.RedeemCode(ctx, digest, g)
	if errors.Is(err, grant.ErrCodeUsed) {
		err = cmp.Or(m.cfg.revokeAsStolen(ctx, g.Number, "code_reuse"), err)
	}
	return g, err
}

// next returns the refresh token that takes the place of the one presented. For a
// recent one it is the one that did already.
func (m *minter) next(info *refreshed) (string, error) {
	now := m.cfg.Now()
	if info.verdict == grant.Recent {
		return info.current.String(), nil
	}
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(m.cfg.Random, seed); err != nil {
		return "", fmt.Errorf("making a refresh token: %w", err)
	}
	rotated, next := info.grant.Refresh.Rotate(info.presented, seed, now, m.cfg.RefreshGrace)
	rotated.ExpiresAt = m.cfg.refreshUntil(rotated)
	info.rotated = rotated
	return next.String(), nil
}

func (m *minter) sign(g grant.Grant, user account.User) (string, error) {
	subject := user.ID
	if subject == "" {
		subject = g.ClientID
	}
	return m.cfg.Signer.Sign(&token.Claims{
		Issuer:    m.cfg.Issuer,
		Subject:   subject,
		Audience:  []string{cmp.Or(g.Audience, m.cfg.Audience)},
		ClientID:  g.ClientID,
		ID:        uuid.NewString(),
		IssuedAt:  g.CreatedAt,
		ExpiresAt: g.CreatedAt.Add(m.cfg.Lifetime),
		Scope:     g.Scope,
		Username:  user.Username,
		Name:      user.Name,
		Status:    g.Status(m.cfg.Issuer),
	})
}

// refreshUntil is until when a refresh token is good that is given now: until it has
// been idle for too long, or to the end of refreshing.
func (c *Config) refreshUntil(r grant.Refresh) time.Time {
	until := c.Now().Add(c.RefreshIdle)
	if r.EndsAt.Before(until) {
		return r.EndsAt
	}
	return until
}

// keepUntil is until when the row of a grant is needed that is refreshed now: by its
// refresh token or by its last access token, whichever is good for longer. The last one may
// come of the token that is replaced now, up to the end of its grace.
func (c *Config) keepUntil(r grant.Refresh) time.Time {
	if access := c.Now().Add(c.RefreshGrace + c.Lifetime); r.ExpiresAt.Before(access) {
		return access
	}
	return r.ExpiresAt
}
