package issuing

import (
	"context"
	"errors"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// PushRequest stores an authorization request of an authenticated client and returns its request_uri (RFC 9126
// section 2.2). The query holds the parameters, which are valid, and no client credentials. address is the IP
// address that the request comes from. The error is grant.ErrTooManyPushed, an *oauth.Error if the client was
// deleted, or one of the store.
func (s *Service) PushRequest(
	ctx context.Context,
	c client.Client,
	query, address string,
) (oauth.PushedAuthorization, error) {
	uri, err := grant.NewRequestURI(s.cfg.Random)
	if err != nil {
		return oauth.PushedAuthorization{}, err
	}
	now, network := s.cfg.Now(), ""
	if c.Public() {
		network = secret.Digest(ratelimit.SiteNetwork(address))
	}
	err = s.cfg.Store.CreatePushed(ctx, grant.PushedRequest{
		Digest:    secret.Digest(uri),
		ClientID:  c.ID,
		Query:     query,
		Network:   network,
		CreatedAt: now,
		ExpiresAt: now.Add(grant.PushedLifetime),
	})
	if errors.Is(err, grant.ErrClientChanged) {
		err = errNoClient
	}
	if err != nil {
		return oauth.PushedAuthorization{}, err
	}
	return oauth.PushedAuthorization{RequestURI: uri, ExpiresIn: int64(grant.PushedLifetime / time.Second)}, nil
}

// PushedRequest returns the request that a client has pushed, for a browser that opens its request_uri. The error
// is grant.ErrPushedUnknown if there is no such request, or it has expired or was used.
func (s *Service) PushedRequest(ctx context.Context, uri, clientID string) (grant.PushedRequest, error) {
	return s.cfg.Store.OpenPushed(ctx, secret.Digest(uri), clientID, s.cfg.Now())
}
