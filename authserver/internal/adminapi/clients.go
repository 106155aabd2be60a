package adminapi

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// ListClients lists clients whose id begins with q, sorted by id.
func (a *API) ListClients(ctx context.Context, in *PageIn) (*PageOut[Client], error) {
	page, err := in.page()
	if err != nil {
		return nil, err
	}
	read, err := a.cfg.Admin.Clients(ctx, page)
	if err != nil {
		return nil, err
	}
	return pageOut(a, "/clients", *in, read, a.showClient, func(c client.Client) string { return c.ID }), nil
}

// ClientDetail is a client as it is shown alone.
type ClientDetail struct {
	Client
	Connect Connect `json:"connect" doc:"What to set at the client's side"`
	Secret  string  `json:"secret,omitempty" doc:"Its new secret. It is shown only in this response"`
}

// ClientOut is the response with a client.
type ClientOut struct {
	Location string `header:"Location" doc:"URL of a client that was registered"`
	ETag     string `header:"ETag"`
	Body     ClientDetail
}

// clientOut returns the response with a client. After an error, only Connect.Resources is missing.
func (a *API) clientOut(ctx context.Context, c client.Client) (*ClientOut, error) {
	shown := a.showClient(c)
	connect, err := a.connect(ctx, c)
	return &ClientOut{ETag: ETag(shown), Body: ClientDetail{Client: shown, Connect: connect}}, err
}

// changedClientOut returns the response with a client that has just been changed, and its new secret, if it has one.
func (a *API) changedClientOut(ctx context.Context, c client.Client, secret string) *ClientOut {
	out, err := a.clientOut(ctx, c)
	if err != nil { // the client is changed all the same, and a new secret would be lost
		a.unread(ctx, "APIs", err)
	}
	out.Body.Secret = secret
	return out
}

// RegisterClientIn is the input of RegisterClient.
type RegisterClientIn struct {
	Body struct {
		ID     string `json:"id" maxLength:"64" doc:"The client_id: letters, digits, dots, dashes and underscores"`
		Public bool   `json:"public,omitempty" doc:"It cannot keep a secret, like a mobile app or a page in a browser. It gets none"`
		ClientSettings
	}
}

// RegisterClient registers a client. The response has its secret, unless it is public or has an assertion.
func (a *API) RegisterClient(ctx context.Context, in *RegisterClientIn) (*ClientOut, error) {
	s := in.Body.ClientSettings
	scope, err := oauth.ParseScope(s.Scope)
	if err != nil {
		return nil, err
	}
	assertion, err := s.Assertion.assertion()
	if err != nil {
		return nil, err
	}
	c, secret, err := a.cfg.Admin.RegisterClient(ctx, admin.NewClient{Public: in.Body.Public, Client: client.Client{
		ID:                     in.Body.ID,
		Name:                   s.Name,
		Grants:                 grantTypes(s.GrantTypes),
		Scope:                  scope,
		RedirectURIs:           s.RedirectURIs,
		PostLogoutRedirectURIs: s.PostLogoutRedirectURIs,
		BackchannelLogoutURI:   s.BackchannelLogoutURI,
		IntrospectsFor:         s.IntrospectsFor,
		ExchangeFrom:           s.ExchangeFrom,
		ExchangeTo:             s.ExchangeTo,
		FirstParty:             s.FirstParty,
		WithoutPKCE:            s.WithoutPKCE,
		RequirePAR:             s.RequirePAR,
		RequireDPoP:            s.RequireDPoP,
		RequireSecondFactor:    s.SecondFactor,
		Admin:                  s.Admin,
		IDTokenAlgorithm:       s.IDTokenAlg,
		Assertion:              assertion,
	}})
	if err != nil {
		return nil, err
	}
	out := a.changedClientOut(ctx, c, secret)
	out.Location = a.location("clients", c.ID)
	return out, nil
}

// ClientIn names a client.
type ClientIn struct {
	ID string `path:"id" maxLength:"2048" doc:"The client_id, escaped as in every URL"`
}

// ChangedClientIn names a client that must not have changed.
type ChangedClientIn struct {
	ClientIn
	IfMatch string `header:"If-Match" doc:"ETag of the client; the response is 412 if it has changed since"`
}

func (a *API) matchingClient(in ChangedClientIn) func(client.Client) bool {
	return matching(in.IfMatch, a.showClient)
}

// GetClient shows a client.
func (a *API) GetClient(ctx context.Context, in *ClientIn) (*ClientOut, error) {
	c, err := a.cfg.Admin.Client(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return a.clientOut(ctx, c)
}

// DeleteClient deletes a client and ends all its logins.
func (a *API) DeleteClient(ctx context.Context, in *ChangedClientIn) (*None, error) {
	_, err := a.cfg.Admin.DeleteClient(ctx, in.ID, a.matchingClient(*in))
	return nothing(err)
}

// RotateSecretIn is the input of RotateSecret.
type RotateSecretIn struct {
	ChangedClientIn
	Body struct {
		KeepOld int64 `json:"keep_old_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old secret works beside the new one, in seconds: 0, or 60 to 2592000"`
		Revoke  bool  `json:"revoke,omitempty" doc:"The old secret has leaked: end all logins and tokens of the client, too"`
	}
}

// RotateSecret replaces the secret of a client. The response has the new one.
func (a *API) RotateSecret(ctx context.Context, in *RotateSecretIn) (*ClientOut, error) {
	r, err := a.cfg.Admin.RotateClientSecret(ctx, in.ID, admin.RotateSecret{
		KeepOld: time.Duration(in.Body.KeepOld) * time.Second, Revoke: in.Body.Revoke,
	}, a.matchingClient(in.ChangedClientIn))
	if err != nil {
		return nil, err
	}
	return a.changedClientOut(ctx, r.Client, r.Secret), nil
}

// EndOldSecret ends the secret before the current one.
func (a *API) EndOldSecret(ctx context.Context, in *ClientIn) (*None, error) {
	return nothing(a.cfg.Admin.EndOldClientSecret(ctx, in.ID))
}

// LoginsOut is the response with a number of logins.
type LoginsOut struct {
	Body struct {
		Logins int64 `json:"logins" doc:"How many logins of users would end"`
	}
}

// CountClientLogins counts the logins that deleting a client would end.
func (a *API) CountClientLogins(ctx context.Context, in *ClientIn) (*LoginsOut, error) {
	n, err := a.cfg.Admin.ClientLogins(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &LoginsOut{}
	out.Body.Logins = n.Grants
	return out, nil
}

// shownOnce marks an operation whose response has a secret.
func shownOnce(op *huma.Operation) {
	op.Description = "The response has the secret, which cannot be read again."
}
