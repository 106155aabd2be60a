package issuing

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// Responses to requests without a proof of the key that they need (RFC 9449 sections 5 and 10).
var (
	errProofMissing = oauth.ErrInvalidRequest.Describe("this client must send a DPoP proof (RFC 9449)")
	errCodeKey      = oauth.ErrInvalidGrant.Describe(
		"the code is bound to a key: the request needs a DPoP proof of that key")
	errRefreshKey = oauth.ErrInvalidGrant.Describe(
		"the refresh token is bound to a key: the request needs a DPoP proof of that key")
)

// TokenTypeOf returns the token_type of an access token that is bound to a key, or to none.
func TokenTypeOf(keyThumbprint string) string {
	if keyThumbprint != "" {
		return dpop.Scheme
	}
	return tokenType
}

// checkProof returns an error if the client must send a proof and the request has none.
func (r Request) checkProof() error {
	if r.Client.RequireDPoP && r.KeyThumbprint == "" {
		return errProofMissing
	}
	return nil
}

// useProof uses up the proof of the request, if it has one. Each grant type calls it right before it writes: only the
// proof of a request that is accepted is used (RFC 9449 section 11.1).
func (r Request) useProof(ctx context.Context) error {
	if r.UseProof == nil {
		return nil
	}
	return r.UseProof(ctx)
}

// bindsRefresh returns the key that refresh tokens issued to the request are bound to; empty if they are not. Those of
// a confidential client are bound to the client already, which may change its key from one request to the next (RFC
// 9449 section 5).
func (r Request) bindsRefresh() (keyThumbprint string) {
	if !r.Client.Public() {
		return ""
	}
	return r.KeyThumbprint
}

// checkRefreshKey returns an error unless the request has a proof of the key that the grant's refresh tokens are bound
// to.
func checkRefreshKey(r Request, g grant.Grant) error {
	if g.KeyThumbprint != "" && g.KeyThumbprint != r.KeyThumbprint {
		return errRefreshKey
	}
	return nil
}

// bindLater binds a grant that was started without a proof, if a public client now refreshes it with one: the next
// refresh token must be bound to the key (RFC 9449 section 5).
func (s *Service) bindLater(ctx context.Context, r Request, used judgedToken) error {
	g, key := used.grant, r.bindsRefresh()
	if key == "" || g.KeyThumbprint != "" || used.verdict != grant.Current {
		return nil
	}
	bound, err := s.cfg.Store.BindGrant(ctx, g, key)
	if err == nil && !bound { // another request has bound it to another key
		err = errRefreshKey
	}
	return err
}
