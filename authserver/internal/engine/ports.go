package engine

import (
	"context"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

type clientKey struct{}

func withClient(ctx context.Context, c client.Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// clientFrom returns the client that the edge authenticated. Without one it is the
// zero client, which has no id, no grants and no scope.
func clientFrom(ctx context.Context) client.Client {
	c, _ := ctx.Value(clientKey{}).(client.Client)
	return c
}

// clientOfRequest is the library's ClientInfoHandler. The secret stays at the edge.
func clientOfRequest(r *http.Request) (id, secret string, err error) {
	return clientFrom(r.Context()).ID, "", nil
}

// clientStore is the library's ClientStore. It knows one client: the one that this
// request was authenticated as, so that the library cannot take another.
type clientStore struct{}

func (clientStore) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	c := clientFrom(ctx)
	if c.ID == "" || c.ID != id {
		return nil, errors.ErrInvalidClient
	}
	return clientInfo{c}, nil
}

// clientInfo is a client as the library sees it.
type clientInfo struct{ client client.Client }

func (i clientInfo) GetID() string     { return i.client.ID }
func (i clientInfo) GetSecret() string { return "" }
func (i clientInfo) GetDomain() string { return "" }
func (i clientInfo) IsPublic() bool    { return i.client.Public() }
func (i clientInfo) GetUserID() string { return "" }

// VerifyPassword is true: the edge has verified the secret, once.
func (i clientInfo) VerifyPassword(string) bool { return true }
