package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// clientSetCommand changes the fields that are not nil.
type clientSetCommand struct {
	clientTarget `embed:""`
	clientKeys   `embed:""`
	Logout       clientLogout `embed:""`
	NoKeys       bool         `help:"The client no longer authenticates by assertions: it has a secret."`
	NoSecret     bool         `help:"The client no longer has a secret: it authenticates by assertions."`
	Name         *string      `placeholder:"NAME" help:"Display name."`
	Grant        []string     `enum:"${grant_types}" placeholder:"TYPE" help:"Grant type that it may use, instead of all that it may use now. Repeat for more."`
	Scope        *string      `placeholder:"SCOPES" help:"Scopes that the client's tokens may have, separated by spaces. Replaces the current ones."`
	AddScope     []string     `placeholder:"SCOPES" sep:"none" help:"Scopes to add to the current ones, separated by spaces. Repeat for more."`
	RemoveScope  []string     `placeholder:"SCOPES" sep:"none" help:"Scopes to remove from the current ones, separated by spaces. Repeat for more."`
	RedirectURI  []string     `placeholder:"URI" sep:"none" help:"Redirect URI. Replaces all current ones. Repeat for more; a single empty one removes all."`
	Introspects  *bool        `negatable:"" help:"Whether the client may use the introspection endpoint (RFC 7662)."`
	// IntrospectsFor replaces the list.
	IntrospectsFor []string `placeholder:"AUDIENCE" sep:"none" help:"API whose access tokens the client may introspect; 'default' is the default API. Replaces all current ones. Repeat for more."`
	ExchangeFrom   []string `placeholder:"AUDIENCE" sep:"none" help:"API whose access tokens the client may exchange (RFC 8693). Replaces all current ones. Repeat for more; a single empty one removes all."`
	ExchangeTo     []string `placeholder:"AUDIENCE" sep:"none" help:"API that the client may exchange them for. Replaces all current ones. Repeat for more; a single empty one removes all."`
	WithoutPKCE    *bool    `name:"without-pkce" negatable:"" help:"Whether the client, which has a secret, may leave out PKCE."`
	RequirePAR     *bool    `name:"require-par" negatable:"" help:"Whether the client must push its authorization requests (RFC 9126)."`
	SecondFactor   *bool    `name:"require-second-factor" negatable:"" help:"Whether users must log in to the client with a second factor. Existing logins continue until they end or the client asks again."`
	Admin          *bool    `negatable:"" help:"Whether the client, a service, may have tokens of the admin API for itself."`
	DPoP           *bool    `name:"dpop" negatable:"" help:"Whether all token requests of the client must have a DPoP proof (RFC 9449)."`
	IDTokenAlg     *string  `name:"id-token-alg" placeholder:"ALG" help:"Algorithm of its ID tokens: RS256, ES256 or EdDSA."`
	FirstParty     *bool    `negatable:"" help:"Whether the client is your own app, whose users are not asked for consent."`
}

// Help explains the effect on existing logins and tokens.
func (c *clientSetCommand) Help() string {
	return `Settings that are not given keep their value.
So do the client's secret, all logins and all consents.
A client cannot be changed from public to confidential, or back.

To change from a secret to keys without a gap, give the keys, then the client its key, then --no-secret.
To change back, use 'client rotate-secret', and then --no-keys.

A change applies to new and refreshed tokens at once.
Access tokens keep their scopes until they expire, and authorization codes their redirect URI for a minute.
A login continues without the grant type that started it, as long as the client may use refresh_token.
Without refresh_token logins pause; they continue if the client gets it back before they expire.
To end logins at once, use 'client rotate-secret --revoke', 'consent revoke' or 'client delete'.`
}

// Run changes the client.
func (c *clientSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if err := c.checkFlags(); err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	p, err := c.patch()
	if err != nil {
		return exitError(c.ID, err)
	}
	note := ""
	var changed client.Client
	err = changeRecords(ctx, c.Database, func(s *admin.Service) error {
		elsewhere, err := s.ScopesElsewhere(ctx, slices.Concat(p.Scope, p.AddScope))
		if err != nil {
			return err
		}
		var had client.Client
		had, changed, err = s.ChangeClient(ctx, c.ID, p, nil)
		note = scopeNote(elsewhere, admin.Without(changed.Scope, had.Scope))
		return err
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	fmt.Fprintf(streams.Out, "client %s: changed\n", c.ID)
	fmt.Fprint(streams.Err, note)
	if c.Grant != nil || c.RedirectURI != nil || c.WithoutPKCE != nil {
		printNotes(streams, changed)
	}
	if c.given() && changed.HasSecret() {
		fmt.Fprintf(streams.Err, "note: the secret works too, until 'client set %s --no-secret'\n", c.ID)
	}
	return nil
}

// checkFlags returns an error for flags that cannot be together, or if no flag is given.
func (c *clientSetCommand) checkFlags() error {
	if c.empty() {
		return errors.New("nothing to change: give --name, --grant, --scope, " +
			"--add-scope, --remove-scope, --redirect-uri, --[no-]introspects, --introspects-for, " +
			"--exchange-from, --exchange-to, --[no-]without-pkce, --[no-]require-par, --[no-]dpop, " +
			"--[no-]require-second-factor, --[no-]admin, --id-token-alg, " +
			"--[no-]first-party, --jwks-file, --jwks-uri, --trust-issuer, --no-keys, --no-secret, " +
			"--post-logout-redirect-uri or --backchannel-logout-uri")
	}
	if c.NoKeys && (c.given() || c.NoSecret) {
		return errors.New("--no-keys needs a secret, and removes the keys and the " +
			"trusted issuer: give neither of them, nor --no-secret")
	}
	if c.Scope != nil && (c.AddScope != nil || c.RemoveScope != nil) {
		return errors.New("--scope replaces all scopes: give either --scope, or --add-scope and --remove-scope")
	}
	return nil
}

// empty reports whether no setting is given.
func (c *clientSetCommand) empty() bool {
	return c.Name == nil && c.Grant == nil && c.Scope == nil && c.AddScope == nil && c.RemoveScope == nil &&
		c.RedirectURI == nil && c.Introspects == nil && c.IntrospectsFor == nil && c.WithoutPKCE == nil &&
		c.ExchangeFrom == nil && c.ExchangeTo == nil &&
		c.RequirePAR == nil && c.DPoP == nil && c.SecondFactor == nil && c.Admin == nil && c.IDTokenAlg == nil &&
		c.FirstParty == nil && !c.given() &&
		!c.NoKeys && !c.NoSecret && !c.Logout.given()
}

// patch returns what the command line changes.
func (c *clientSetCommand) patch() (p admin.ClientPatch, err error) {
	p = admin.ClientPatch{
		Name:                   c.Name,
		RedirectURIs:           replaced(c.RedirectURI),
		PostLogoutRedirectURIs: replaced(c.Logout.PostLogoutRedirectURI),
		BackchannelLogoutURI:   c.Logout.BackchannelLogoutURI,
		Introspects:            c.Introspects,
		IntrospectsFor:         c.IntrospectsFor,
		ExchangeFrom:           replaced(c.ExchangeFrom),
		ExchangeTo:             replaced(c.ExchangeTo),
		FirstParty:             c.FirstParty,
		WithoutPKCE:            c.WithoutPKCE,
		RequirePAR:             c.RequirePAR,
		RequireDPoP:            c.DPoP,
		RequireSecondFactor:    c.SecondFactor,
		Admin:                  c.Admin,
		IDTokenAlgorithm:       c.IDTokenAlg,
		NoSecret:               c.NoSecret,
	}
	if c.Grant != nil {
		p.Grants = append([]oauth.GrantType{}, grantTypes(c.Grant)...) // not nil, which would keep the current ones
	}
	if c.given() || c.NoKeys {
		assertion, err := c.assertion()
		if err != nil {
			return p, err
		}
		p.Assertion = &assertion
	}
	return p, c.setScope(&p)
}

// replaced returns the list of a flag that replaces one: nil if the flag is not given, and an empty list if it is given
// once, empty.
func replaced(flag []string) []string {
	if slices.Equal(flag, []string{""}) {
		return []string{}
	}
	return flag
}

// setScope sets what the command line changes of the scope.
func (c *clientSetCommand) setScope(p *admin.ClientPatch) (err error) {
	if c.Scope != nil {
		scope, err := oauth.ParseScope(*c.Scope)
		p.Scope = append(oauth.Scope{}, scope...) // not nil, which would keep the current one
		return err
	}
	if p.AddScope, err = scopesOf("--add-scope", c.AddScope); err != nil {
		return err
	}
	if p.RemoveScope, err = scopesOf("--remove-scope", c.RemoveScope); err != nil {
		return err
	}
	if both := p.AddScope.Common(p.RemoveScope); len(both) > 0 {
		return program.WithCode(program.ExitUsage, fmt.Errorf("%s is both added and removed", both))
	}
	return nil
}

// scopesOf returns the scopes in all values of a flag.
func scopesOf(flag string, values []string) (oauth.Scope, error) {
	if values == nil {
		return nil, nil
	}
	scope, err := oauth.ParseScope(strings.Join(values, " "))
	if err == nil && len(scope) == 0 {
		err = errEmpty(flag)
	}
	return scope, err
}
