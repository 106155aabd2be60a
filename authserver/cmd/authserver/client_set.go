package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// clientSetCommand changes the fields that are not nil.
type clientSetCommand struct {
	clientTarget `embed:""`
	clientKeys   `embed:""`
	Logout       clientLogout `embed:""`
	NoKeys       bool         `help:"The client no longer authenticates by assertions: it has a secret."`
	NoSecret     bool         `help:"The client no longer has a secret: it authenticates by assertions."`
	Name         *string      `placeholder:"NAME" help:"Display name."`
	Grant        []string     `enum:"${grant_types}" placeholder:"TYPE" help:"Grant type that it may use, in place of all that it may use now. Repeat for more."`
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
	SecondFactor   *bool    `name:"require-second-factor" negatable:"" help:"Whether users must log in to the client with a second factor. Existing logins go on until they end or the client asks again."`
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
	assertion, err := c.assertion()
	if err != nil {
		return exitError(c.ID, err)
	}
	note := ""
	var changed client.Client
	err = changeRecords(ctx, c.Database, func(s *store.Store) error {
		if err := checkAPIs(ctx, s, c.apis()); err != nil {
			return err
		}
		apis, err := s.APIs(ctx)
		if err != nil {
			return err
		}
		var had oauth.Scope
		changed, err = s.UpdateClient(ctx, c.ID, func(registered client.Client) (client.Client, error) {
			had = registered.Scope
			if registered, err = c.changeAuthentication(registered, assertion); err != nil {
				return client.Client{}, err
			}
			return c.change(registered)
		})
		if err == nil {
			note = scopeNote(s, apis, without(changed.Scope, had))
		}
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

// changeAuthentication returns the client with the keys or the trusted issuer of the command line,
// and without what the command line removes.
func (c *clientSetCommand) changeAuthentication(
	changed client.Client,
	given client.Assertion,
) (client.Client, error) {
	if c.NoSecret && changed.Public() {
		return client.Client{}, fmt.Errorf("%w: %s is public and has no secret", client.ErrBad, c.ID)
	}
	if c.given() || c.NoKeys {
		changed.Assertion = given
	}
	if c.NoSecret {
		changed.SecretDigest = client.NoSecret
	}
	return changed, nil
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

// change returns the changed client, or why it is not valid.
func (c *clientSetCommand) change(changed client.Client) (client.Client, error) {
	if c.Name != nil {
		changed.Name = *c.Name
	}
	if c.Grant != nil {
		changed.Grants = grantTypes(c.Grant)
	}
	var err error
	if changed.Scope, err = c.scope(changed.Scope); err != nil {
		return client.Client{}, err
	}
	changed.RedirectURIs = replaced(c.RedirectURI, changed.RedirectURIs)
	if c.Introspects != nil {
		changed.Introspects = *c.Introspects
		if !changed.Introspects {
			changed.IntrospectsFor = nil
		} else if len(changed.IntrospectsFor) == 0 {
			changed.IntrospectsFor = []string{client.DefaultAPI}
		}
	}
	if c.IntrospectsFor != nil {
		changed.Introspects, changed.IntrospectsFor = true, c.IntrospectsFor
	}
	changed.ExchangeFrom = replaced(c.ExchangeFrom, changed.ExchangeFrom)
	changed.ExchangeTo = replaced(c.ExchangeTo, changed.ExchangeTo)
	if c.WithoutPKCE != nil {
		changed.WithoutPKCE = *c.WithoutPKCE
	}
	if c.RequirePAR != nil {
		changed.RequirePAR = *c.RequirePAR
	}
	if c.DPoP != nil {
		changed.RequireDPoP = *c.DPoP
	}
	if c.SecondFactor != nil {
		changed.RequireSecondFactor = *c.SecondFactor
	}
	if c.Admin != nil {
		changed.Admin = *c.Admin
	}
	if c.IDTokenAlg != nil {
		changed.IDTokenAlgorithm = *c.IDTokenAlg
	}
	if c.FirstParty != nil {
		changed.FirstParty = *c.FirstParty
	}
	changed = c.Logout.change(changed)
	return changed, changed.Validate()
}

// apis returns the APIs that the command line names.
func (c *clientSetCommand) apis() []string {
	return slices.Concat(c.IntrospectsFor, replaced(c.ExchangeFrom, nil), replaced(c.ExchangeTo, nil))
}

// replaced returns a list that a flag replaces: the current one if the flag is not given, and nothing if it is given
// once, empty.
func replaced(flag, current []string) []string {
	switch {
	case flag == nil:
		return current
	case slices.Equal(flag, []string{""}):
		return nil
	}
	return flag
}

// scope returns the scope of a client that has the current one.
func (c *clientSetCommand) scope(current oauth.Scope) (oauth.Scope, error) {
	if c.Scope != nil {
		return oauth.ParseScope(*c.Scope)
	}
	added, err := scopesOf("--add-scope", c.AddScope)
	if err != nil {
		return nil, err
	}
	removed, err := scopesOf("--remove-scope", c.RemoveScope)
	if err != nil {
		return nil, err
	}
	if both := added.Common(removed); len(both) > 0 {
		return nil, program.WithCode(program.ExitUsage, fmt.Errorf("%s is both added and removed", both))
	}
	if name, missing := current.Missing(removed...); missing {
		return nil, program.WithCode(program.ExitUsage, fmt.Errorf("the client does not have the scope %s: it has %s",
			name, current))
	}
	all := append(slices.Clone(current), added...)
	return oauth.ParseScope(without(all, removed).String())
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

// without returns the scopes that are not among others.
func without(scope, others oauth.Scope) oauth.Scope {
	return slices.DeleteFunc(slices.Clone(scope), func(name string) bool { return slices.Contains(others, name) })
}
