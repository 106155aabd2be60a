package issuing

import (
	"context"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// call is what the library's callbacks must know about the request that they serve,
// and cannot be told by the library.
type call struct {
	client  client.Client
	api     resource.API // the zero API is the one of the settings
	session string
	// verified is who has just shown a password; the handler that checks it writes it.
	verified *account.User
	// refresh is the refresh token that is presented, if it is one of ours.
	refresh presented
}

// presented is a refresh token and the grant that it names, whatever it is to it.
type presented struct {
	text  string
	token grant.RefreshToken
	grant grant.Grant
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callFrom returns the call that ctx belongs to. Without one it is the zero call, whose
// client has no id, no grants and no scope.
func callFrom(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// clientFrom returns the client that the edge authenticated.
func clientFrom(ctx context.Context) client.Client { return callFrom(ctx).client }

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
