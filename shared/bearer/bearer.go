// Package bearer protects an http.Handler with access tokens: bearer tokens (RFC 6750), and tokens that are bound to
// a key of the client (DPoP, RFC 9449).
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
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/internal/sparselog"
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
	detailLogin            = "The user must log in again, with more factors or more recently"
	detailUnavailable      = "The access token cannot be checked right now"
)

// Guard lets requests with valid access tokens through. It is safe for concurrent use.
type Guard struct {
	verifier *token.Verifier
	lists    *statuslist.Client // nil in a Guard made by New
	log      *slog.Logger
	includes map[string]oauth.Scope  // the scopes that each scope includes; see Config.ScopeIncludes
	metadata *atomic.Pointer[string] // the address of the metadata; nil if it is not served

	// Why tokens are not accepted.
	refused   *sparselog.Reasons // of tokens and proofs; a Guard made by New logs them at level debug only
	unchecked *sparselog.Reasons // of tokens that cannot be checked now
	unproven  *sparselog.Reasons // of proofs that cannot be checked now

	proofs      *dpop.Verifier // nil if tokens that are bound to a key are not accepted
	requireDPoP bool           // see Config.RequireDPoP
}

// New returns a Guard for a verifier that the caller has configured. Most programs call Open.
// The log gets the reasons of refusals at level debug, and at level warn, once a minute, why tokens cannot be
// checked; nil means slog.Default(). Use one Guard for all requests.
func New(v *token.Verifier, log *slog.Logger) *Guard {
	if log == nil {
		log = slog.Default()
	}
	return &Guard{
		verifier:  v,
		log:       log,
		metadata:  new(atomic.Pointer[string]),
		refused:   sparselog.New(slog.LevelDebug, moreRefused),
		unchecked: sparselog.New(slog.LevelWarn, "more_not_checked_before"),
		unproven:  sparselog.New(slog.LevelWarn, "more_not_checked_before"),
	}
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

// Delays says how many revocations have arrived, and how late, for metrics. It is zero in a Guard made by New.
func (g *Guard) Delays() statuslist.Delays {
	if g.lists == nil {
		return statuslist.Delays{}
	}
	return g.lists.Delays()
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
	return g.protect(scopes, func(*token.Claims) *Refusal { return nil })
}

// RequireUser is like Require, and also refuses, as invalid, a token that a client got for itself with
// the client credentials grant. The claims have the user's names only if the scopes include profile;
// Subject is always the user's id.
func (g *Guard) RequireUser(scopes ...string) func(http.Handler) http.Handler {
	return g.RequireLogin(UserLogin{}, scopes...)
}

// protect returns middleware that writes the refusal of a request, or calls the next handler with the
// claims in the context. check may refuse a token that is valid and has the scopes.
func (g *Guard) protect(scopes []string, check func(*token.Claims) *Refusal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, nonce, refusal := g.authenticate(r, scopes)
			setNonce(w, nonce)
			if refusal == nil {
				refusal = check(claims)
			}
			if refusal != nil {
				refusal.Write(w)
				return
			}
			ctx := NewContext(r.Context(), claims)
			if claims.KeyThumbprint != "" {
				ctx = context.WithValue(ctx, provenKey{g}, provenBy(r))
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// Authenticate returns the claims of the request's token, or the refusal to respond with. It reads
// the headers and the query, not the body, and writes nothing. Most handlers are protected by
// Require or RequireUser instead, which also tell clients of new nonces (RFC 9449 section 8.2).
func (g *Guard) Authenticate(r *http.Request, scopes ...string) (*token.Claims, *Refusal) {
	claims, _, refusal := g.authenticate(r, scopes)
	return claims, refusal
}

// authenticate is Authenticate, and returns the nonce to tell the client of, if any.
func (g *Guard) authenticate(r *http.Request, scopes []string) (claims *token.Claims, nonce string, refusal *Refusal) {
	sent, refusal := g.credentials(r)
	if refusal == nil {
		claims, refusal = g.verify(r.Context(), sent.token)
	}
	if refusal == nil {
		nonce, refusal = g.prove(r, sent, claims)
	}
	if refusal == nil && !g.allows(claims.Scope, scopes) {
		refusal = &Refusal{
			Status: http.StatusForbidden,
			Code:   oauth.CodeInsufficientScope,
			Detail: detailScope,
			Scope:  scopes,
		}
	}
	if refusal == nil {
		return claims, nonce, nil
	}
	refusal.Audience, refusal.Metadata = g.Audience(), g.metadataURL()
	if refusal.Status == http.StatusUnauthorized {
		refusal.Scope = scopes // so that a client asks for these, and not for all that there are
	}
	g.addDPoP(refusal, sent.scheme)
	return nil, "", refusal
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

// credentials are what a request authenticates with.
type credentials struct {
	scheme string // Bearer or DPoP; empty if there is no token
	token  string
}

// bearerScheme is the scheme of RFC 6750.
const bearerScheme = "Bearer"

// credentials returns the token of the Authorization header (RFC 6750 section 2.1, RFC 9449 section 7.1). A token
// in the query is never used. In addition to the header it is an error: RFC 6750 section 2 forbids sending a token
// in more than one way.
func (g *Guard) credentials(r *http.Request) (credentials, *Refusal) {
	values := r.Header["Authorization"]
	if len(values) > 1 {
		return credentials{}, errTwoTokens()
	}
	scheme, raw := "", ""
	if len(values) == 1 {
		scheme, raw, _ = strings.Cut(values[0], " ")
	}
	switch {
	case strings.EqualFold(scheme, bearerScheme):
		scheme = bearerScheme
	case strings.EqualFold(scheme, dpop.Scheme) && g.proofs == nil:
		return credentials{}, &Refusal{Status: http.StatusUnauthorized, Detail: detailBearerOnly}
	case strings.EqualFold(scheme, dpop.Scheme):
		scheme = dpop.Scheme
	default:
		return credentials{}, &Refusal{Status: http.StatusUnauthorized, Detail: detailNotAuthenticated}
	}
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return credentials{scheme: scheme}, errTwoTokens()
	}
	return credentials{scheme, strings.TrimLeft(raw, " ")}, nil
}

// errTwoTokens returns the refusal of a request with more than one token.
func errTwoTokens() *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Detail: detailTwoTokens}
}

// verify returns the claims of the token if it is valid.
func (g *Guard) verify(ctx context.Context, raw string) (*token.Claims, *Refusal) {
	claims, err := g.verifier.Verify(ctx, raw)
	if errors.Is(err, token.ErrUnavailable) {
		level, attributes := g.unchecked.Next(err, time.Now())
		g.log.Log(ctx, level, "access token not checked", attributes...)
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Detail: detailUnavailable}
	}
	if err != nil {
		g.logRefused(ctx, err)
		return nil, &Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Detail: detailInvalidToken}
	}
	return claims, nil
}

// moreRefused is the attribute with the number of refusals that were not logged at level info since the last one that
// was.
const moreRefused = "more_refused_before"

// logRefused logs why a token, or a proof for it, is refused.
func (g *Guard) logRefused(ctx context.Context, reason error) {
	level, attributes := g.refused.Next(reason, time.Now())
	g.log.Log(ctx, level, "access token refused", attributes...)
}

// AllScopes returns a granted scope with the scopes that it includes: see Config.ScopeIncludes.
func (g *Guard) AllScopes(granted oauth.Scope) oauth.Scope {
	all := slices.Clone(granted)
	for _, t := range granted {
		for _, included := range g.includes[t] {
			if !all.Has(included) {
				all = append(all, included)
			}
		}
	}
	return all
}

// allows reports whether a granted scope has all scopes, or includes them.
func (g *Guard) allows(granted oauth.Scope, scopes []string) bool {
	for _, wanted := range scopes {
		if !granted.Has(wanted) && !slices.ContainsFunc(granted, func(t string) bool { return g.includes[t].Has(wanted) }) {
			return false
		}
	}
	return true
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
