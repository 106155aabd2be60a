package adminapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// ClientSettings are the settings of a client that whoever registers it chooses. The names are those of RFC 7591 where
// it has them.
type ClientSettings struct {
	Name         string   `json:"name,omitempty" maxLength:"128" doc:"Display name; by default the id"`
	GrantTypes   []string `json:"grant_types" nullable:"false" maxItems:"10" doc:"Grant types that it may use, such as authorization_code"`
	Scope        string   `json:"scope" maxLength:"4096" doc:"Scopes that its tokens may have, separated by spaces"`
	RedirectURIs []string `json:"redirect_uris,omitempty" nullable:"false" maxItems:"100" doc:"Where the browser may be sent with a code; they must match exactly"`

	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty" nullable:"false" maxItems:"100" doc:"Where the browser may be sent after a logout that the client starts"`
	BackchannelLogoutURI   string   `json:"backchannel_logout_uri,omitempty" maxLength:"2048" doc:"Where the client is told that a session has ended"`

	IntrospectsFor []string `json:"introspects_for,omitempty" nullable:"false" maxItems:"100" doc:"APIs whose access tokens it may introspect; \"default\" is the default API"`
	ExchangeFrom   []string `json:"exchange_from,omitempty" nullable:"false" maxItems:"100" doc:"APIs whose access tokens it may exchange (RFC 8693)"`
	ExchangeTo     []string `json:"exchange_to,omitempty" nullable:"false" maxItems:"100" doc:"APIs that it may exchange them for"`

	FirstParty   bool   `json:"first_party,omitempty" doc:"It is your own app, whose users are not asked for consent"`
	WithoutPKCE  bool   `json:"without_pkce,omitempty" doc:"It may leave out PKCE"`
	RequirePAR   bool   `json:"require_par,omitempty" doc:"It must push its authorization requests (RFC 9126)"`
	RequireDPoP  bool   `json:"require_dpop,omitempty" doc:"Its token requests must have a DPoP proof (RFC 9449)"`
	SecondFactor bool   `json:"require_second_factor,omitempty" doc:"Users must log in to it with a second factor"`
	Admin        bool   `json:"admin,omitempty" doc:"It is a service that may have tokens of this API for itself"`
	IDTokenAlg   string `json:"id_token_alg,omitempty" enum:"RS256,ES256,EdDSA" doc:"Algorithm of its ID tokens; by default RS256"`

	Assertion *ClientAssertion `json:"assertion,omitempty" doc:"What the assertions must be by which it authenticates"`
}

// ClientAssertion says what the assertions must be by which a client authenticates (RFC 7523).
type ClientAssertion struct {
	JWKS     json.RawMessage `json:"jwks,omitempty" doc:"JWK Set with its public keys"`
	JWKSURI  string          `json:"jwks_uri,omitempty" maxLength:"2048" doc:"Where that JWK Set is"`
	Issuer   string          `json:"issuer,omitempty" maxLength:"2048" doc:"Issuer whose tokens it authenticates by"`
	Subject  string          `json:"subject,omitempty" maxLength:"255" doc:"The sub of these tokens"`
	Audience string          `json:"audience,omitempty" maxLength:"255" doc:"The aud of these tokens; by default this server"`
}

// Client is a client as lists show it.
type Client struct {
	ID     string `json:"id" doc:"The client_id"`
	Public bool   `json:"public" doc:"It has no secret and no keys"`
	Source string `json:"source,omitempty" enum:"document,registration" doc:"How it has registered itself; absent if an administrator has registered it"`
	ClientSettings
	Secrets        int        `json:"secrets" doc:"How many secrets it can authenticate with"`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"When the old one of two secrets ends"`
	CreatedAt      time.Time  `json:"created_at"`
}

// showClient shows a client at the time of the clock.
func (a *API) showClient(c client.Client) Client {
	shown := Client{
		ID: c.ID, Public: c.Public(), Source: string(c.Source), CreatedAt: c.CreatedAt.UTC().Truncate(time.Second),
		ClientSettings: ClientSettings{
			Name:                   c.Name,
			GrantTypes:             grantNames(c.Grants),
			Scope:                  c.Scope.String(),
			RedirectURIs:           c.RedirectURIs,
			PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
			BackchannelLogoutURI:   c.BackchannelLogoutURI,
			IntrospectsFor:         c.IntrospectsFor,
			ExchangeFrom:           c.ExchangeFrom,
			ExchangeTo:             c.ExchangeTo,
			FirstParty:             c.FirstParty,
			WithoutPKCE:            c.WithoutPKCE,
			RequirePAR:             c.RequirePAR,
			RequireDPoP:            c.RequireDPoP,
			SecondFactor:           c.RequireSecondFactor,
			Admin:                  c.Admin,
			IDTokenAlg:             c.SignsIDTokensWith(),
			Assertion:              showAssertion(c.Assertion),
		},
	}
	if c.HasSecret() {
		shown.Secrets = 1
	}
	if c.HasSecret() && c.KeepsOldSecret(a.cfg.Now()) {
		shown.Secrets, shown.OldSecretUntil = 2, optional(c.OldSecret.Until)
	}
	return shown
}

func showAssertion(a client.Assertion) *ClientAssertion {
	if !a.Enabled() {
		return nil
	}
	return &ClientAssertion{
		JWKS: json.RawMessage(a.JWKS), JWKSURI: a.JWKSURI, Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience,
	}
}

// assertion is the inverse of showAssertion. The error is client.ErrBad.
func (a *ClientAssertion) assertion() (client.Assertion, error) {
	if a == nil {
		return client.Assertion{}, nil
	}
	out := client.Assertion{JWKSURI: a.JWKSURI, Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience}
	if len(a.JWKS) == 0 {
		return out, nil
	}
	var err error
	out.JWKS, err = client.CompactJWKS(a.JWKS)
	return out, err
}

// grantNames returns grant types as the protocol has them.
func grantNames(grants []oauth.GrantType) []string {
	names := make([]string, len(grants))
	for i, g := range grants {
		names[i] = string(g)
	}
	return names
}

// grantTypes returns the grant types of these names: those of the protocol, or those that people write. The check of
// the client refuses unknown ones. It returns nil for nil.
func grantTypes(names []string) []oauth.GrantType {
	if names == nil {
		return nil
	}
	types := make([]oauth.GrantType, len(names))
	for i, name := range names {
		types[i] = oauth.GrantType(name)
		if t, known := grant.TypeWritten(name); known {
			types[i] = t.Name
		}
	}
	return types
}

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
	Secret  string  `json:"secret,omitempty" doc:"Its new secret. It is shown only in this response"` //nolint:gosec // it is a field, no secret
}

// Connect are the settings of the client's side.
type Connect struct {
	Issuer                string   `json:"issuer"`
	Metadata              string   `json:"metadata" doc:"URL of the metadata, which has all endpoints (OpenID Connect Discovery)"`
	AuthorizationEndpoint string   `json:"authorization_endpoint,omitempty" doc:"Absent if it has no redirect URI"`
	TokenEndpoint         string   `json:"token_endpoint"`
	ClientID              string   `json:"client_id"`
	RedirectURIs          []string `json:"redirect_uris,omitempty" nullable:"false"`
	Scope                 string   `json:"scope"`
	Authentication        string   `json:"token_endpoint_auth_method" enum:"none,client_secret_basic,private_key_jwt" doc:"How it authenticates at the token endpoint"`
	PKCE                  string   `json:"code_challenge_method,omitempty" doc:"Absent if it has no redirect URI"`
	// Resources are the APIs for which it must name the resource.
	Resources []string `json:"resources,omitempty" nullable:"false" doc:"APIs, other than the default one, at which its scopes can be used: it requests tokens for them with resource=API (RFC 8707)"`
}

// connect returns the settings of the client's side.
func (a *API) connect(ctx context.Context, c client.Client) (Connect, error) {
	issuer := a.cfg.Issuer
	out := Connect{
		Issuer: issuer, Metadata: issuer + "/.well-known/openid-configuration", TokenEndpoint: issuer + "/token",
		ClientID: c.ID, RedirectURIs: c.RedirectURIs, Scope: c.Scope.String(), Authentication: "none",
	}
	switch {
	case c.HasSecret():
		out.Authentication = "client_secret_basic"
	case c.Assertion.Enabled():
		out.Authentication = "private_key_jwt"
	}
	if len(c.RedirectURIs) > 0 {
		out.AuthorizationEndpoint, out.PKCE = issuer+"/authorize", "S256"
	}
	elsewhere, err := a.cfg.Admin.ScopesElsewhere(ctx, c.Scope)
	for _, api := range elsewhere {
		out.Resources = append(out.Resources, api.Audience)
	}
	return out, err
}

// ClientOut is the response with a client.
type ClientOut struct {
	Location string `header:"Location" doc:"URL of a client that was registered"`
	ETag     string `header:"ETag"`
	Body     ClientDetail
}

// clientOut returns the response with a client and its new secret, if it has one.
func (a *API) clientOut(ctx context.Context, c client.Client, secret string) (*ClientOut, error) {
	shown := a.showClient(c)
	connect, err := a.connect(ctx, c)
	if err != nil && secret == "" { // a secret is shown all the same: it would be lost
		return nil, err
	}
	return &ClientOut{ETag: ETag(shown), Body: ClientDetail{Client: shown, Connect: connect, Secret: secret}}, nil
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
	out, err := a.clientOut(ctx, c, secret)
	if err == nil {
		out.Location = a.location("clients", c.ID)
	}
	return out, err
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
	return a.clientOut(ctx, c, "")
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
	return a.clientOut(ctx, r.Client, r.Secret)
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
