// Package bearer protects an http.Handler with access tokens (RFC 6750).
//
// It exists so that an API declares on each route which scopes it needs, and has
// neither the reading of the header, nor the judging of the token, nor the wording
// of the challenge in its own code. It works with any router that speaks net/http.
//
//	lists, err := statuslist.Open(ctx, statuslist.Config{Keys: ring, Issuer: issuer, Audience: audience})
//	...
//	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience, Revocations: lists})
//	...
//	http.Handle("GET /reports", bearer.Require(verifier, "reports:read")(reports))
package bearer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Details of refusals. Callers of an API see them; they do not tell why a token
// is not good.
const (
	detailNotAuthenticated = "Not authenticated"
	detailInvalidToken     = "Could not validate credentials"
	detailTwoTokens        = "The access token must be sent once, in one Authorization header"
	detailScope            = "The access token lacks a scope that this needs"
	detailUnavailable      = "The access token cannot be checked right now"
)

// Require returns middleware that lets a request through only with a token that v
// accepts and that has all of scopes. The handler finds what the token says with
// FromContext. Every other request is answered here: 401 without a good token, 400
// when two are sent, 403 without the scopes, 503 when the token cannot be judged,
// each with a challenge by RFC 6750 §3 and a problem document (RFC 9457) as body.
func Require(v *token.Verifier, scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, refusal := Authenticate(v, r, scopes...)
			if refusal != nil {
				refusal.Write(w)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
		})
	}
}

// Authenticate judges the request: it returns either what its token says or the
// refusal to answer it with. It reads headers and the query, not the body, and
// writes nothing. Require is the usual way to use it.
func Authenticate(v *token.Verifier, r *http.Request, scopes ...string) (*token.Claims, *Refusal) {
	raw, refusal := credentials(r)
	if refusal == nil {
		var claims *token.Claims
		if claims, refusal = judge(r.Context(), v, raw, scopes); refusal == nil {
			return claims, nil
		}
	}
	refusal.Audience = v.Audience()
	return nil, refusal
}

// credentials returns the token of the request (RFC 6750 §2.1). A token in the
// query is never used; beside one in the header it is a second way to send a token,
// which RFC 6750 §2 forbids.
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

func judge(ctx context.Context, v *token.Verifier, raw string, scopes []string) (*token.Claims, *Refusal) {
	claims, err := v.Verify(ctx, raw)
	if errors.Is(err, token.ErrUnavailable) {
		slog.WarnContext(ctx, "access token not judged", "reason", err)
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Detail: detailUnavailable}
	}
	if err != nil {
		slog.DebugContext(ctx, "access token refused", "reason", err)
		return nil, &Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Detail: detailInvalidToken}
	}
	if _, missing := claims.Scope.Missing(scopes...); missing {
		return nil, &Refusal{Status: http.StatusForbidden, Code: oauth.CodeInsufficientScope, Detail: detailScope, Scope: scopes}
	}
	return claims, nil
}

// InvalidToken returns the refusal of a token that v accepts and that is not good all
// the same, for reasons that v does not know.
func InvalidToken(v *token.Verifier) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Detail: detailInvalidToken, Audience: v.Audience()}
}

type contextKey struct{}

// NewContext returns a context that carries the claims. Require uses it; so may a
// test of a handler.
func NewContext(ctx context.Context, claims *token.Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}

// FromContext returns what the token of the request says. It is false in a request
// that did not pass Require. The claims are shared: do not change them.
func FromContext(ctx context.Context) (*token.Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(*token.Claims)
	return claims, ok
}
