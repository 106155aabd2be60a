// Package bearer protects an http.Handler with access tokens (RFC 6750).
//
// [Open] returns a [Guard] for one API and one authorization server. The guard's middleware lets a
// request through only with a valid access token of that server for this API, and with the scopes
// that the route asks for. It works with every router of net/http handlers.
//
// No request waits for the authorization server: tokens are verified with keys and status lists
// that the guard keeps in memory and refreshes in the background. The only exception is the first
// token that names a status list (see [statuslist.Client.Revoked]).
package bearer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Details of refusals. The client sees them, so they do not say why a token is invalid.
const (
	detailNotAuthenticated = "Not authenticated"
	detailInvalidToken     = "Could not validate credentials"
	detailTwoTokens        = "The access token must be sent once, in one Authorization header"
	detailScope            = "The access token lacks a scope that this needs"
	detailUnavailable      = "The access token cannot be checked right now"
)

// Guard lets requests with valid access tokens through. It is safe for concurrent use.
type Guard struct {
	verifier *token.Verifier
	lists    *statuslist.Client // nil in a Guard made by New
	log      *slog.Logger
	refusals *refusalLog            // nil in a Guard made by New, which logs at level debug only
	metadata atomic.Pointer[string] // the address of the metadata; nil if it is not served
}

// New returns a Guard for a verifier that the caller has configured. Most programs call Open.
// The log gets the reasons of refusals at level debug; nil means slog.Default().
func New(v *token.Verifier, log *slog.Logger) *Guard {
	if log == nil {
		log = slog.Default()
	}
	return &Guard{verifier: v, log: log}
}

// Issuer returns the identifier of the authorization server whose tokens are accepted.
func (g *Guard) Issuer() string { return g.verifier.Issuer() }

// Audience returns the identifier of the API that a token must be for.
func (g *Guard) Audience() string { return g.verifier.Audience() }

// Keys returns the source of the keys. Its state, for metrics, is that of keyring.HealthOf.
func (g *Guard) Keys() keyring.Source { return g.verifier.Keys() }

// Ready returns an error while there is no key to verify tokens with, as before the first fetch of
// Config.KeysURL, and when the keys are about to end and new ones cannot be read. It ignores the age of
// the status lists: otherwise an outage of the authorization server would take every replica of the API
// out of service.
func (g *Guard) Ready() error { return g.verifier.Ready() }

// Stats returns the state of the status lists, for metrics. It is zero in a Guard made by New.
func (g *Guard) Stats() statuslist.Stats {
	if g.lists == nil {
		return statuslist.Stats{}
	}
	return g.lists.Stats()
}

// Require returns middleware that lets a request through if its token is valid and has all of the
// scopes. The handler gets the claims with FromContext. Other requests are refused with a problem
// document (RFC 9457) and, except for 503, a challenge (RFC 6750 section 3):
//
//	401  no token, or an invalid one
//	400  more than one token
//	403  a scope is missing
//	503  the token cannot be checked now; Retry-After is set
func (g *Guard) Require(scopes ...string) func(http.Handler) http.Handler {
	return protect(func(r *http.Request) (*token.Claims, *Refusal) {
		return g.Authenticate(r, scopes...)
	})
}

// RequireUser is like Require, and also refuses, as invalid, a token that a client got for itself with
// the client credentials grant. The claims have the user's names only if the scopes include profile;
// Subject is always the user's id.
func (g *Guard) RequireUser(scopes ...string) func(http.Handler) http.Handler {
	return protect(func(r *http.Request) (*token.Claims, *Refusal) {
		claims, refusal := g.Authenticate(r, scopes...)
		if refusal == nil && !claims.IsUser() {
			return nil, g.InvalidToken()
		}
		return claims, refusal
	})
}

// protect returns middleware that writes the refusal of authenticate, or calls the next handler
// with the claims in the context.
func protect(authenticate func(*http.Request) (*token.Claims, *Refusal)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, refusal := authenticate(r)
			if refusal != nil {
				refusal.Write(w)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
		})
	}
}

// Authenticate returns the claims of the request's token, or the refusal to respond with. It reads
// the header and the query, not the body, and writes nothing. Most handlers are protected by
// Require or RequireUser instead.
func (g *Guard) Authenticate(r *http.Request, scopes ...string) (*token.Claims, *Refusal) {
	raw, refusal := credentials(r)
	if refusal == nil {
		var claims *token.Claims
		if claims, refusal = g.verify(r.Context(), raw, scopes); refusal == nil {
			return claims, nil
		}
	}
	refusal.Audience, refusal.Metadata = g.Audience(), g.metadataURL()
	return nil, refusal
}

// InvalidToken returns the refusal of a token that is valid but cannot be accepted for a reason
// that only the caller knows, for example because its user no longer exists.
func (g *Guard) InvalidToken() *Refusal {
	return &Refusal{
		Status:   http.StatusUnauthorized,
		Code:     oauth.CodeInvalidToken,
		Detail:   detailInvalidToken,
		Audience: g.Audience(),
		Metadata: g.metadataURL(),
	}
}

// credentials returns the token of the Authorization header (RFC 6750 section 2.1). A token in the
// query is never used. In addition to the header it is an error: section 2 forbids sending a token in
// more than one way.
func credentials(r *http.Request) (string, *Refusal) {
	values := r.Header["Authorization"]
	if len(values) > 1 {
		return "", &Refusal{Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Detail: detailTwoTokens}
	}
	if len(values) == 0 {
		return "", &Refusal{Status: http.StatusUnauthorized, Detail: detailNotAuthenticated}
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", &Refusal{Status: http.StatusUnauthorized, Detail: detailNotAuthenticated}
	}
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return "", &Refusal{Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Detail: detailTwoTokens}
	}
	return strings.TrimLeft(raw, " "), nil
}

// verify returns the claims of the token if it is valid and has the scopes.
func (g *Guard) verify(ctx context.Context, raw string, scopes []string) (*token.Claims, *Refusal) {
	claims, err := g.verifier.Verify(ctx, raw)
	if errors.Is(err, token.ErrUnavailable) {
		g.log.WarnContext(ctx, "access token not checked", "reason", err)
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Detail: detailUnavailable}
	}
	if err != nil {
		g.refusals.add(ctx, g.log, err)
		return nil, &Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Detail: detailInvalidToken}
	}
	if _, missing := claims.Scope.Missing(scopes...); missing {
		return nil, &Refusal{
			Status: http.StatusForbidden,
			Code:   oauth.CodeInsufficientScope,
			Detail: detailScope,
			Scope:  scopes,
		}
	}
	return claims, nil
}

type contextKey struct{}

// NewContext returns a context that carries the claims. It is for tests of handlers that call
// FromContext.
func NewContext(ctx context.Context, claims *token.Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}

// FromContext returns the claims of the request's token, and false if the request did not pass
// Require or RequireUser. The claims are shared between requests: do not change them.
func FromContext(ctx context.Context) (*token.Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(*token.Claims)
	return claims, ok
}
