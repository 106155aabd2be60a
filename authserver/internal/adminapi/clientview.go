package adminapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// ClientSettings are the settings of a client that an administrator chooses. The names are those of RFC 7591 where
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
	Kept   bool   `json:"kept,omitempty" doc:"An administrator has changed it after it has registered itself, so it stays when it is unused"`
	ClientSettings
	Secrets        int        `json:"secrets" doc:"How many secrets it can authenticate with"`
	OldSecretUntil *time.Time `json:"old_secret_until,omitempty" doc:"When the old one of two secrets ends"`
	CreatedAt      time.Time  `json:"created_at"`
}

// showClient shows a client at the time of the clock.
func (a *API) showClient(c client.Client) Client {
	shown := Client{
		ID: c.ID, Public: c.Public(), Source: string(c.Source), Kept: c.Kept,
		CreatedAt: c.CreatedAt.UTC().Truncate(time.Second),
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

// Connect has the settings to configure in the client.
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

// connect returns the settings to configure in the client.
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
