package configfile

import (
	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// From returns the configuration that describes d. Clients keep their secrets, which are not stored.
func From(d admin.Desired) (c Config) {
	for _, a := range d.APIs {
		c.APIs = append(c.APIs, fromAPI(a))
	}
	for _, s := range d.Scopes {
		c.Scopes = append(c.Scopes, Scope{Scope: s.Scope, Description: s.Text})
	}
	for _, registered := range d.Clients {
		c.Clients = append(c.Clients, fromClient(registered))
	}
	return c
}

func fromAPI(a resource.API) API {
	described := API{Audience: a.Audience, Name: a.Name, Scopes: a.Scope, AnyScope: a.AnyScope}
	if a.Name == a.Audience {
		described.Name = ""
	}
	return described
}

func fromClient(d admin.DesiredClient) Client {
	c := Client{
		ID:         d.ID,
		Name:       d.Name,
		Public:     d.Public,
		Assertion:  fromAssertion(d.Assertion),
		GrantTypes: admin.GrantNames(d.Grants),
		Scopes:     d.Scope,

		RedirectURIs:           d.RedirectURIs,
		PostLogoutRedirectURIs: d.PostLogoutRedirectURIs,
		BackchannelLogoutURI:   d.BackchannelLogoutURI,

		IntrospectsFor: d.IntrospectsFor,
		ExchangeFrom:   d.ExchangeFrom,
		ExchangeTo:     d.ExchangeTo,

		FirstParty:          d.FirstParty,
		WithoutPKCE:         d.WithoutPKCE,
		RequirePAR:          d.RequirePAR,
		RequireDPoP:         d.RequireDPoP,
		RequireSecondFactor: d.RequireSecondFactor,
		Admin:               d.Admin,
	}
	if d.Name == d.ID {
		c.Name = ""
	}
	if algorithm := d.SignsIDTokensWith(); algorithm != keyring.RS256 {
		c.IDTokenAlg = algorithm
	}
	if d.KeepSecret {
		c.Secret = &Secret{Keep: true}
	}
	return c
}

func fromAssertion(a client.Assertion) *Assertion {
	if !a.Enabled() {
		return nil
	}
	return &Assertion{JWKS: a.JWKS, JWKSURI: a.JWKSURI, Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience}
}
