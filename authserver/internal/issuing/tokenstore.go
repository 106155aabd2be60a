package issuing

import (
	"context"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	liberrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// refreshed is the library's token of a grant that is being refreshed. The library
// hands the very object that GetByRefresh returned to the token generator and then
// to Create, so what they must tell each other travels in it.
type refreshed struct {
	*models.Token
	grant     grant.Grant
	presented grant.RefreshToken
	current   grant.RefreshToken // the current one; the one presented, unless that is recent
	verdict   grant.Verdict      // Current or Recent
	rotated   grant.Refresh      // what the grant is to keep; set by the generator for a current token
}

// tokenStore is the library's TokenStore. Access tokens are not stored: the grant of
// a new one is there before the token is signed (see minter). Refresh tokens are kept
// as digests in their grant.
type tokenStore struct{ cfg Config }

// GetByRefresh finds the grant of a refresh token that is good, for the client that
// is asking: it is the one presented, which was looked up before. It changes nothing.
func (s *tokenStore) GetByRefresh(ctx context.Context, text string) (oauth2.TokenInfo, error) {
	refresh := callFrom(ctx).refresh
	if text == "" || refresh.text != text {
		return nil, liberrors.ErrInvalidRefreshToken
	}
	g := refresh.grant
	verdict, current := g.Refresh.Judge(refresh.token, s.cfg.Now(), s.cfg.RefreshGrace)
	if g.ClientID != clientFrom(ctx).ID || !g.RefreshesAt(s.cfg.Now()) || (verdict != grant.Current && verdict != grant.Recent) {
		return nil, liberrors.ErrInvalidRefreshToken
	}
	info := models.NewToken()
	info.SetRefresh(text)
	info.SetClientID(g.ClientID)
	info.SetUserID(g.UserID)
	info.SetScope(g.Scope.String())
	return &refreshed{Token: info, grant: g, presented: refresh.token, current: current, verdict: verdict}, nil
}

// Create makes what the generator prepared hold. The grant of a new token is there
// already. Of many refreshes with one token at once, one wins; to all the others the
// token has become a recent one, and they get what the winner got.
func (s *tokenStore) Create(ctx context.Context, info oauth2.TokenInfo) error {
	if info.GetCode() != "" {
		return s.createCode(ctx, info)
	}
	r, ok := info.(*refreshed)
	if !ok || r.verdict != grant.Current {
		return nil
	}
	won, err := s.cfg.Grants.RotateRefresh(ctx, r.grant.Number, r.grant.Refresh.Current, r.rotated, s.cfg.Now(), s.cfg.keepUntil(r.rotated))
	if err != nil || won {
		return err
	}
	g, err := s.cfg.Grants.GrantByNumber(ctx, r.grant.Number)
	if err != nil {
		return err
	}
	verdict, current := g.Refresh.Judge(r.presented, s.cfg.Now(), s.cfg.RefreshGrace)
	if verdict != grant.Recent || !g.RefreshesAt(s.cfg.Now()) {
		return liberrors.ErrInvalidRefreshToken
	}
	r.SetRefresh(current.String())
	return nil
}

// unlessStolen looks a refresh token up, and revokes its grant if it was replaced too
// long ago: of the two who have had it, one is a thief, and nobody can tell which (OAuth
// 2.1 §4.3.1). It is a step of its own, since to the library looking up changes nothing.
func (e *Engine) unlessStolen(ctx context.Context, text string) (presented, error) {
	token, err := grant.ParseRefreshToken(text)
	if err != nil {
		return presented{}, liberrors.ErrInvalidRefreshToken
	}
	g, err := e.cfg.Grants.GrantByNumber(ctx, token.Number)
	if err != nil {
		return presented{}, err
	}
	if verdict, _ := g.Refresh.Judge(token, e.cfg.Now(), e.cfg.RefreshGrace); verdict != grant.Stolen {
		return presented{text, token, g}, nil
	}
	if err := e.cfg.revokeAsStolen(ctx, g.Number, "refresh_token_reuse"); err != nil {
		return presented{}, err
	}
	return presented{}, liberrors.ErrInvalidRefreshToken
}

// revokeAsStolen revokes a grant because something that it gave was used twice, and
// leaves a line in the log for whoever watches over it.
func (c *Config) revokeAsStolen(ctx context.Context, number int64, event string) error {
	active, err := c.revoke(ctx, number)
	if active {
		c.Log.WarnContext(ctx, "used a second time: the grant is revoked, since it may be in the wrong hands",
			"event", event, "grant", number, "client", clientFrom(ctx).ID)
	}
	return err
}

func (s *tokenStore) createCode(ctx context.Context, info oauth2.TokenInfo) error {
	scope, err := oauth.ParseScope(info.GetScope())
	if err != nil {
		return err
	}
	call := callFrom(ctx)
	now := s.cfg.Now()
	return s.cfg.Grants.CreateCode(ctx, grant.Code{
		Digest:      secret.Digest(info.GetCode()),
		ClientID:    info.GetClientID(),
		UserID:      info.GetUserID(),
		Session:     call.session,
		Audience:    call.api.Audience,
		RedirectURI: info.GetRedirectURI(),
		Scope:       scope,
		Challenge:   info.GetCodeChallenge(),
		CreatedAt:   now,
		ExpiresAt:   now.Add(grant.CodeLifetime),
	})
}

// GetByCode finds what a code stands for, whether it was redeemed or has expired or not:
// redeeming it decides that, once (see minter). So the replay of a code is seen as one
// even when the code would have expired.
func (s *tokenStore) GetByCode(ctx context.Context, code string) (oauth2.TokenInfo, error) {
	c, err := s.cfg.Grants.CodeByDigest(ctx, secret.Digest(code))
	if err != nil {
		return nil, err
	}
	info := models.NewToken()
	info.SetCode(code)
	info.SetClientID(c.ClientID)
	info.SetUserID(c.UserID)
	info.SetRedirectURI(c.RedirectURI)
	info.SetScope(c.Scope.String())
	info.SetCodeChallenge(c.Challenge)
	info.SetCodeChallengeMethod(oauth2.CodeChallengeS256)
	info.SetCodeCreateAt(time.Now()) // the library compares with its own clock; the store decides by ours
	info.SetCodeExpiresIn(grant.CodeLifetime)
	return info, nil
}

// RemoveByCode does nothing: the library calls it before it has checked the verifier,
// and a wrong one must not use the code up. The minter redeems it.
func (s *tokenStore) RemoveByCode(context.Context, string) error { return nil }

// Access tokens are not stored, and refresh tokens are replaced by Create: there is
// nothing to look up or to remove.

func (s *tokenStore) RemoveByAccess(context.Context, string) error {
	return liberrors.ErrInvalidAccessToken
}

func (s *tokenStore) RemoveByRefresh(context.Context, string) error {
	return liberrors.ErrInvalidRefreshToken
}

func (s *tokenStore) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, liberrors.ErrInvalidAccessToken
}
