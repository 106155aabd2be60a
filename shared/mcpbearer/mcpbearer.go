// Package mcpbearer protects an MCP server that is built with the go-sdk by access tokens of Hallpass.
//
//	guard, err := bearer.Open(ctx, bearer.Config{ ... })
//	guard.ServeMetadata(mux.Handle, "notes:read")
//	protect := auth.RequireBearerToken(mcpbearer.Verifier(guard), mcpbearer.Options(guard, "notes:read"))
//	mux.Handle("/mcp", protect(mcp.NewStreamableHTTPHandler( ... )))
//
// It is a module of its own, so that an API without MCP does not depend on the go-sdk.
package mcpbearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// claimsKey is where TokenInfo.Extra has the claims.
const claimsKey = "hallpass_claims"

// Verifier returns a verifier of access tokens that accepts those that guard accepts. Its TokenInfo has the
// granted scopes with those that they include, the time when the token expires, and the user's id: the SDK
// then refuses a request for the session of another user. The error of a token that is not valid is
// auth.ErrInvalidToken. The SDK responds with 500 if the token cannot be checked now.
func Verifier(guard *bearer.Guard) auth.TokenVerifier {
	return func(ctx context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + raw}}, URL: new(url.URL)}
		claims, refusal := guard.Authenticate(r.WithContext(ctx))
		switch {
		case refusal == nil:
		case refusal.Status == http.StatusServiceUnavailable:
			return nil, errors.New(refusal.Detail)
		default:
			return nil, fmt.Errorf("%w: %s", auth.ErrInvalidToken, refusal.Detail)
		}
		return &auth.TokenInfo{
			Scopes:     guard.AllScopes(claims.Scope),
			Expiration: claims.ExpiresAt,
			UserID:     claims.Subject,
			Extra:      map[string]any{claimsKey: claims},
		}, nil
	}
}

// Options returns the options of auth.RequireBearerToken for a server that needs all of the scopes. Its
// challenges name the metadata that guard.ServeMetadata publishes.
func Options(guard *bearer.Guard, scopes ...string) *auth.RequireBearerTokenOptions {
	return &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: bearer.MetadataURL(guard.Audience()),
		Scopes:              scopes,
	}
}

// Claims returns the claims of the token that Verifier has verified, and false for the TokenInfo of another
// verifier or nil. The claims are shared between requests: do not change them.
func Claims(info *auth.TokenInfo) (*token.Claims, bool) {
	if info == nil {
		return nil, false
	}
	claims, ok := info.Extra[claimsKey].(*token.Claims)
	return claims, ok
}
