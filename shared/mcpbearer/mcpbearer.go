// Package mcpbearer protects an MCP server that is built with the go-sdk by access tokens of Hallpass.
//
//	guard, err := bearer.Open(ctx, bearer.Config{ ... })
//	guard.ServeMetadata(mux.Handle, "notes:read")
//	protect := mcpbearer.Require(guard, "notes:read")
//	mux.Handle("/mcp", protect(mcp.NewStreamableHTTPHandler( ... )))
//
// It is a module of its own, so that an API without MCP does not depend on the go-sdk.
package mcpbearer

import (
	"context"
	"math"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// claimsKey is where TokenInfo.Extra has the claims.
const claimsKey = "hallpass_claims"

// Require returns middleware for an MCP server that needs all of the scopes. It lets through what guard.Require does,
// so also tokens that are bound to a key, with a proof (DPoP, RFC 9449), and refuses other requests in the same way.
// The SDK's TokenInfo then has the granted scopes with those that they include, the time when the token expires, and
// the user's id: the SDK refuses a request for the session of another user.
func Require(guard *bearer.Guard, scopes ...string) func(http.Handler) http.Handler {
	// The guard has checked the expiry, by its own clock.
	setInfo := auth.RequireBearerToken(infoOf(guard), &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64})
	return func(next http.Handler) http.Handler {
		return guard.Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Only the SDK's middleware can set the TokenInfo of a context, and it knows no scheme but Bearer.
			verified := r.WithContext(r.Context())
			verified.Header = http.Header{"Authorization": {"Bearer verified"}}
			setInfo(http.HandlerFunc(func(w http.ResponseWriter, verified *http.Request) {
				next.ServeHTTP(w, r.WithContext(verified.Context()))
			})).ServeHTTP(w, verified)
		}))
	}
}

// infoOf returns a verifier for requests that the guard has let through. It returns what their tokens say.
func infoOf(guard *bearer.Guard) auth.TokenVerifier {
	return func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		claims, ok := bearer.FromContext(ctx)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{
			Scopes:     guard.AllScopes(claims.Scope),
			Expiration: claims.ExpiresAt,
			UserID:     claims.Subject,
			Extra:      map[string]any{claimsKey: claims},
		}, nil
	}
}

// Claims returns the claims of the token of a request that Require has let through, and false for the TokenInfo of
// other middleware or nil. The claims are shared between requests: do not change them.
func Claims(info *auth.TokenInfo) (*token.Claims, bool) {
	if info == nil {
		return nil, false
	}
	claims, ok := info.Extra[claimsKey].(*token.Claims)
	return claims, ok
}
