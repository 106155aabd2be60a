package issuing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// seedSize is the number of random bytes that lead from a refresh token to its successor.
const seedSize = 32

// refreshToken runs the refresh token grant (RFC 6749 section 6). A token that was replaced
// before the grace period ends its grant: of the two that have it one is a thief, and nobody
// knows which (RFC 9700 section 4.14.2).
func (s *Service) refreshToken(ctx context.Context, r Request) (response oauth.TokenResponse, err error) {
	var used judgedToken
	var why tokenRefusal
	defer func() { s.observeRefresh(why, used.verdict, err) }()
	parsed, err := grant.ParseRefreshToken(r.Form.Get("refresh_token"))
	if err != nil {
		why = refusedMalformed
		s.logRefreshFailure(ctx, r, grant.Grant{}, why.reason)
		return oauth.TokenResponse{}, err
	}
	if used, err = s.judge(ctx, parsed); err != nil {
		return oauth.TokenResponse{}, err
	}
	if why = used.refusal(r.Client.ID); why != (tokenRefusal{}) {
		s.logRefreshFailure(ctx, r, used.grant, why.reason)
		if used.verdict == grant.Reused {
			err = s.revokeReused(ctx, r.Client, used.grant.Number, "refresh_token_reuse")
		}
		return oauth.TokenResponse{}, cmp.Or(err, error(errNotValid))
	}
	response, err = s.refreshViaLibrary(ctx, r, used)
	var protocol *oauth.Error
	if errors.As(protocolError(err), &protocol) {
		s.logRefreshFailure(ctx, r, used.grant, protocol.Description)
	}
	return response, err
}

// tokenRefusal is a reason for which a refresh token cannot be used.
type tokenRefusal struct {
	reason string // in the log
	result string // one of RefreshResults
}

// The reasons for which a refresh token cannot be used.
var (
	refusedMalformed = tokenRefusal{"malformed token", "malformed"}
	// No grant has its number, or that grant did not issue it.
	refusedUnknown = tokenRefusal{"unknown token", "unknown"}
	// It was used again after the grace period, so its grant is revoked.
	refusedReused      = tokenRefusal{"token used before", "reused"}
	refusedOtherClient = tokenRefusal{"token of another client", "other_client"}
	// Its grant has ended.
	refusedRevoked = tokenRefusal{"revoked", "revoked"}
	refusedExpired = tokenRefusal{"expired", "expired"}
)

// refusal returns why a refresh token cannot be used by the client; the zero value if it can.
func (t judgedToken) refusal(clientID string) tokenRefusal {
	switch {
	case t.verdict == grant.Unknown:
		return refusedUnknown
	case t.verdict == grant.Reused:
		return refusedReused
	case t.grant.ClientID != clientID:
		return refusedOtherClient
	case !t.grant.RevokedAt.IsZero():
		return refusedRevoked
	case !t.valid:
		return refusedExpired
	}
	return tokenRefusal{}
}

// logRefreshFailure logs a refresh that is refused. The response does not give the reason.
func (s *Service) logRefreshFailure(ctx context.Context, r Request, g grant.Grant, reason string) {
	fields := []any{"event", "refresh_failed", "reason", reason}
	if g.Number != 0 {
		fields = append(fields, "grant", g.Number, "user", g.UserID)
	}
	s.cfg.Log.WarnContext(ctx, "refresh failed", append(fields, "address", r.Address, "client", r.Client.ID)...)
}

// refreshViaLibrary returns the next tokens for a valid refresh token.
func (s *Service) refreshViaLibrary(ctx context.Context, r Request, used judgedToken) (oauth.TokenResponse, error) {
	narrowed := false
	return viaLibrary(ctx, r, steps{
		refresh: used.grant,
		scope: func(requested oauth.Scope) (oauth.Scope, error) {
			narrowed = len(requested) > 0
			requested = withoutIgnored(requested, used.grant.Scope)
			if name, missing := used.grant.Scope.Missing(requested...); missing {
				return nil, oauth.ErrInvalidScope.Describe("the grant does not have the scope " + name)
			}
			return requested, nil
		},
		issue: func(scope oauth.Scope) (oauth.TokenResponse, error) {
			return s.renew(ctx, r, used, scope, narrowed)
		},
	})
}

// renew replaces a refresh token and returns the next tokens of its grant, with a scope that
// the grant has. A request that named its scope gets all of it or an error. The grant keeps
// its scope: what is left out now can be had again later.
func (s *Service) renew(
	ctx context.Context,
	r Request,
	used judgedToken,
	scope oauth.Scope,
	named bool,
) (oauth.TokenResponse, error) {
	if !isActive(used.user) {
		return oauth.TokenResponse{}, grant.ErrInactive
	}
	if err := checkRefreshKey(r, used.grant); err != nil {
		return oauth.TokenResponse{}, err
	}
	api, err := s.sameTarget(ctx, r.Form.Get("resource"), used.grant.Audience)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	g := used.grant
	if err := s.checkAdmin(api, r.Client, used.user, g.Type); err != nil {
		return oauth.TokenResponse{}, err
	}
	if named {
		g.Scope, err = scopeWithin(allowedWith(r.Client, api, used.grant.Scope), api, scope)
	} else {
		g.Scope, err = remainingScope(r.Client, api, scope)
	}
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := s.checkIDTokenKey(r.Client, g); err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := r.useProof(ctx); err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := s.bindLater(ctx, r, used); err != nil {
		return oauth.TokenResponse{}, err
	}
	next, err := s.rotate(ctx, used)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	response, err := s.mint(ctx, r, api, used.user, g, next)
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	// It has the auth_time and the sid of the first one, and no nonce (OpenID Connect Core section 12.2).
	return s.withIDToken(response, idToken{client: r.Client, user: used.user, scope: g.Scope, login: g.Authentication})
}

// rotate replaces a valid refresh token and returns the one that the client is to use next.
// Of many requests with one token at once, one replaces it. For the others it has become a
// recent token, and they get the same successor.
func (s *Service) rotate(ctx context.Context, used judgedToken) (string, error) {
	if used.verdict == grant.Recent {
		return used.current.String(), nil
	}
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(s.cfg.Random, seed); err != nil {
		return "", fmt.Errorf("making a refresh token: %w", err)
	}
	g, now := used.grant, s.cfg.Now()
	rotated, next := g.Refresh.Rotate(used.token, seed, now, s.cfg.RefreshGrace)
	rotated.ExpiresAt = s.refreshUntil(rotated)
	won, err := s.cfg.Store.RotateRefresh(ctx, g, rotated, now, s.keepUntil(rotated))
	if err != nil || won {
		return next.String(), err
	}
	again, err := s.judge(ctx, used.token)
	if err == nil && (!again.valid || again.verdict != grant.Recent) {
		err = errNotValid
	}
	return again.current.String(), err
}

// judgedToken is a refresh token with its grant, the grant's user and the verdict on it.
type judgedToken struct {
	token   grant.RefreshToken
	grant   grant.Grant
	user    account.User // the zero value if deleted
	verdict grant.Verdict
	// current is the token that replaced a recent one last, or the current token itself.
	current grant.RefreshToken
	// valid says that the token is current or recent and that its grant can be refreshed.
	valid bool
}

// judge finds the grant of a refresh token and judges the token. It changes nothing. All that
// refresh, introspect or revoke by a refresh token go by this verdict.
func (s *Service) judge(ctx context.Context, t grant.RefreshToken) (judgedToken, error) {
	g, user, err := s.cfg.Store.GrantWithUser(ctx, t.Number)
	if errors.Is(err, record.ErrNotFound) {
		return judgedToken{token: t, verdict: grant.Unknown}, nil
	}
	if err != nil {
		return judgedToken{}, err
	}
	now := s.cfg.Now()
	verdict, current := g.Refresh.Judge(t, now, s.cfg.RefreshGrace)
	valid := (verdict == grant.Current || verdict == grant.Recent) && g.RefreshesAt(now)
	return judgedToken{token: t, grant: g, user: user, verdict: verdict, valid: valid, current: current}, nil
}

// revokeReused revokes a grant because a code or refresh token of it was used twice, and
// logs the event unless the grant had ended.
func (s *Service) revokeReused(ctx context.Context, c client.Client, number int64, event string) error {
	active, err := s.cfg.Store.RevokeGrant(ctx, number, s.cfg.Now())
	if active {
		s.cfg.Log.WarnContext(ctx, "a code or refresh token was used twice and may be stolen: its grant is revoked",
			"event", event, "grant", number, "client", c.ID)
	}
	return err
}
