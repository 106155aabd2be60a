package adminapi

import (
	"context"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
)

// ClientPatch is a change of a client. What is left out stays as it is; an empty list removes all its entries.
type ClientPatch struct {
	Name         *string  `json:"name,omitempty" maxLength:"128"`
	GrantTypes   []string `json:"grant_types,omitempty" nullable:"false" maxItems:"10"`
	Scope        *string  `json:"scope,omitempty" maxLength:"4096" doc:"All scopes, separated by spaces"`
	AddScope     string   `json:"add_scope,omitempty" maxLength:"4096" doc:"Scopes to add to the present ones"`
	RemoveScope  string   `json:"remove_scope,omitempty" maxLength:"4096" doc:"Scopes to remove from the present ones"`
	RedirectURIs []string `json:"redirect_uris,omitempty" nullable:"false" maxItems:"100"`

	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty" nullable:"false" maxItems:"100"`
	BackchannelLogoutURI   *string  `json:"backchannel_logout_uri,omitempty" maxLength:"2048" doc:"Empty for none"`

	IntrospectsFor []string `json:"introspects_for,omitempty" nullable:"false" maxItems:"100"`
	ExchangeFrom   []string `json:"exchange_from,omitempty" nullable:"false" maxItems:"100"`
	ExchangeTo     []string `json:"exchange_to,omitempty" nullable:"false" maxItems:"100"`

	FirstParty   *bool   `json:"first_party,omitempty"`
	WithoutPKCE  *bool   `json:"without_pkce,omitempty"`
	RequirePAR   *bool   `json:"require_par,omitempty"`
	RequireDPoP  *bool   `json:"require_dpop,omitempty"`
	SecondFactor *bool   `json:"require_second_factor,omitempty"`
	Admin        *bool   `json:"admin,omitempty"`
	IDTokenAlg   *string `json:"id_token_alg,omitempty" enum:"RS256,ES256,EdDSA"`

	Assertion *ClientAssertion `json:"assertion,omitempty" doc:"What the assertions must be by which it authenticates; {} ends that"`
	NoSecret  bool             `json:"no_secret,omitempty" doc:"End its secret: it authenticates by assertions"`
}

// ChangeClientIn is the input of ChangeClient.
type ChangeClientIn struct {
	ChangedClientIn
	Body ClientPatch
}

// ChangeClient changes a client. Its logins and consents stay.
func (a *API) ChangeClient(ctx context.Context, in *ChangeClientIn) (*ClientOut, error) {
	p, err := in.Body.patch()
	if err != nil {
		return nil, err
	}
	_, changed, err := a.cfg.Admin.ChangeClient(ctx, in.ID, p, a.matchingClient(in.ChangedClientIn))
	if err != nil {
		return nil, err
	}
	return a.changedClientOut(ctx, changed, ""), nil
}

// patch returns the change for package admin.
func (b ClientPatch) patch() (p admin.ClientPatch, err error) {
	p = admin.ClientPatch{
		Name:                   b.Name,
		Grants:                 grantTypes(b.GrantTypes),
		RedirectURIs:           b.RedirectURIs,
		PostLogoutRedirectURIs: b.PostLogoutRedirectURIs,
		BackchannelLogoutURI:   b.BackchannelLogoutURI,
		IntrospectsFor:         b.IntrospectsFor,
		ExchangeFrom:           b.ExchangeFrom,
		ExchangeTo:             b.ExchangeTo,
		FirstParty:             b.FirstParty,
		WithoutPKCE:            b.WithoutPKCE,
		RequirePAR:             b.RequirePAR,
		RequireDPoP:            b.RequireDPoP,
		RequireSecondFactor:    b.SecondFactor,
		Admin:                  b.Admin,
		IDTokenAlgorithm:       b.IDTokenAlg,
		NoSecret:               b.NoSecret,
	}
	if b.Assertion != nil {
		assertion, err := b.Assertion.assertion()
		if err != nil {
			return p, err
		}
		p.Assertion = &assertion
	}
	if b.Scope != nil {
		scope, err := oauth.ParseScope(*b.Scope)
		if err != nil {
			return p, err
		}
		p.Scope = append(oauth.Scope{}, scope...) // not nil, which would keep the current one
	}
	if p.AddScope, err = oauth.ParseScope(b.AddScope); err != nil {
		return p, err
	}
	p.RemoveScope, err = oauth.ParseScope(b.RemoveScope)
	return p, err
}
