package issuing

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// errNoClient is the response to a client that was deleted, or given another secret, while
// it sent the request.
var errNoClient = oauth.ErrInvalidClient.Describe("client authentication failed")

// clientCredentials runs the client credentials grant (RFC 6749 section 4.4). All tokens of
// a service, for whichever API, belong to one grant.
func (s *Service) clientCredentials(ctx context.Context, r Request) (oauth.TokenResponse, error) {
	api, err := s.Target(ctx, r.Form.Get("resource"))
	if err != nil {
		return oauth.TokenResponse{}, err
	}
	if err := s.checkAdmin(api, r.Client, account.User{}, oauth.GrantClientCredentials); err != nil {
		return oauth.TokenResponse{}, err
	}
	return viaLibrary(ctx, r, steps{
		scope: func(requested oauth.Scope) (oauth.Scope, error) {
			return clientScope(r.Client, api, requested)
		},
		issue: func(scope oauth.Scope) (oauth.TokenResponse, error) {
			if err := r.useProof(ctx); err != nil {
				return oauth.TokenResponse{}, err
			}
			number, err := s.records.serviceGrant(ctx, r.Client)
			if err != nil {
				return oauth.TokenResponse{}, err
			}
			g := grant.Grant{Number: number, ClientID: r.Client.ID, Audience: api.Audience, Scope: scope}
			return s.mint(ctx, r, api, account.User{}, g, "")
		},
	})
}
