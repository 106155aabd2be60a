package issuing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// ErrNotActive says that a token is not good: unknown, expired, revoked or replaced.
var ErrNotActive = errors.New("token not active")

// Inspection is what is known about a good token of either kind.
type Inspection struct {
	// Grant is the grant that the token stands on.
	Grant grant.Grant
	// Claims is what an access token says; nil for a refresh token.
	Claims *token.Claims
	// Username is the user's at this moment; empty where no user is involved.
	Username string
}

// Inspect tells about an access or refresh token of ours, with every revocation in
// effect at once. A token that is not good is ErrNotActive. It changes nothing.
func (e *Engine) Inspect(ctx context.Context, text string) (Inspection, error) {
	found, err := e.find(ctx, text)
	if err != nil {
		return Inspection{}, err
	}
	return e.active(ctx, found)
}

// InspectClaims is Inspect for an access token that has been verified already.
func (e *Engine) InspectClaims(ctx context.Context, claims *token.Claims) (Inspection, error) {
	found, err := e.findClaims(ctx, claims)
	if err != nil {
		return Inspection{}, err
	}
	return e.active(ctx, found)
}

// active adds who the user is, if grant and user are active.
func (e *Engine) active(ctx context.Context, found Inspection) (Inspection, error) {
	if !found.Grant.ActiveAt(e.cfg.Now()) {
		return Inspection{}, ErrNotActive
	}
	if found.Grant.UserID == "" {
		return found, nil
	}
	user, err := e.cfg.Users.UserByID(ctx, found.Grant.UserID)
	if errors.Is(err, record.ErrNotFound) || (err == nil && !user.Active()) {
		return Inspection{}, ErrNotActive
	}
	found.Username = user.Username
	return found, err
}

// find looks a token up as what it looks like, whatever the caller thinks that it is.
// A refresh token that was replaced does not count as one.
func (e *Engine) find(ctx context.Context, text string) (Inspection, error) {
	if presented, err := grant.ParseRefreshToken(text); err == nil {
		g, err := e.grant(ctx, presented.Number)
		if err != nil {
			return Inspection{}, err
		}
		if verdict, _ := g.Refresh.Judge(presented, e.cfg.Now(), e.cfg.RefreshGrace); verdict != grant.Current || !g.RefreshesAt(e.cfg.Now()) {
			return Inspection{}, ErrNotActive
		}
		return Inspection{Grant: g}, nil
	}
	claims, err := e.cfg.Verifier.Verify(ctx, text)
	if err != nil {
		return Inspection{}, ErrNotActive
	}
	return e.findClaims(ctx, claims)
}

func (e *Engine) findClaims(ctx context.Context, claims *token.Claims) (Inspection, error) {
	number, ok := grant.NumberOf(e.cfg.Issuer, e.cfg.target(claims), claims.Status)
	if !ok {
		return Inspection{}, ErrNotActive
	}
	g, err := e.grant(ctx, number)
	if err != nil {
		return Inspection{}, err
	}
	if !e.cfg.says(claims, g) {
		return Inspection{}, ErrNotActive
	}
	return Inspection{Grant: g, Claims: claims}, e.registered(ctx, e.cfg.target(claims))
}

// registered is ErrNotActive for an API that has been deleted: with it all of its tokens
// end, also those of a service, whose grant goes on for others.
func (e *Engine) registered(ctx context.Context, audience string) error {
	if audience == "" {
		return nil
	}
	_, err := e.cfg.APIs.APIByAudience(ctx, audience)
	if errors.Is(err, record.ErrNotFound) {
		return ErrNotActive
	}
	return err
}

// target returns the API that a token is for, as a grant says it: empty for the one of
// the settings.
func (c *Config) target(claims *token.Claims) string {
	if slices.Equal(claims.Audience, []string{c.Audience}) {
		return ""
	}
	return strings.Join(claims.Audience, " ") // no API has a space in its name
}

// says reports whether a token that says this can be one of the grant. An API that has a
// secret of its own can sign tokens that point at any grant.
func (c *Config) says(claims *token.Claims, g grant.Grant) bool {
	if claims.ClientID != g.ClientID || claims.Subject != cmp.Or(g.UserID, g.ClientID) {
		return false
	}
	return g.UserID == "" || slices.Equal(claims.Audience, []string{cmp.Or(g.Audience, c.Audience)})
}

func (e *Engine) grant(ctx context.Context, number int64) (grant.Grant, error) {
	g, err := e.cfg.Grants.GrantByNumber(ctx, number)
	if errors.Is(err, record.ErrNotFound) {
		return grant.Grant{}, ErrNotActive
	}
	return g, err
}

// errForeign is the answer to a client that wants to revoke another one's token.
var errForeign = oauth.ErrUnauthorizedClient.Describe("the token was issued to another client")

// Revoke ends the grant of an access or refresh token, and with it every token of the
// grant (RFC 7009 §2.1). A token that is not good needs no revoking. A replaced refresh
// token ends its grant too. The token of another client is unauthorized_client.
func (e *Engine) Revoke(ctx context.Context, c client.Client, text string) error {
	g, err := e.grantOf(ctx, text)
	if errors.Is(err, ErrNotActive) {
		return nil
	}
	if err != nil {
		return err
	}
	if g.ClientID != c.ID {
		return errForeign
	}
	_, err = e.cfg.revoke(ctx, g.Number)
	return err
}

// grantOf is find for which a replaced refresh token is as good as the current one:
// its holder wants it all to end.
func (e *Engine) grantOf(ctx context.Context, text string) (grant.Grant, error) {
	presented, err := grant.ParseRefreshToken(text)
	if err != nil {
		found, err := e.find(ctx, text)
		return found.Grant, err
	}
	g, err := e.grant(ctx, presented.Number)
	if err != nil {
		return grant.Grant{}, err
	}
	if verdict, _ := g.Refresh.Judge(presented, e.cfg.Now(), e.cfg.RefreshGrace); verdict == grant.Unknown {
		return grant.Grant{}, ErrNotActive
	}
	return g, nil
}

// revoke ends a grant, and reports whether it was active.
func (c *Config) revoke(ctx context.Context, number int64) (bool, error) {
	return c.Grants.RevokeGrant(ctx, number, c.Now())
}
