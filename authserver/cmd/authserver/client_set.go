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
	Name         *string  `placeholder:"NAME" help:"Display name."`
	Grant        []string `enum:"${grant_types}" placeholder:"TYPE" help:"Grant type that it may use, in place of all that it may use now. Repeat for more."`
	Scope        *string  `placeholder:"SCOPES" help:"Scopes that the client's tokens may have, separated by spaces. Replaces the current ones."`
	AddScope     []string `placeholder:"SCOPES" sep:"none" help:"Scopes to add to the current ones, separated by spaces. Repeat for more."`
	RemoveScope  []string `placeholder:"SCOPES" sep:"none" help:"Scopes to remove from the current ones, separated by spaces. Repeat for more."`
	RedirectURI  []string `placeholder:"URI" sep:"none" help:"Redirect URI. Replaces all current ones. Repeat for more; a single empty one removes all."`
	Introspects  *bool    `negatable:"" help:"Whether the client may use the introspection endpoint (RFC 7662)."`
	// IntrospectsFor replaces the list.
	IntrospectsFor []string `placeholder:"AUDIENCE" sep:"none" help:"API whose access tokens the client may introspect; 'default' is the default API. Replaces all current ones. Repeat for more."`
	WithoutPKCE    *bool    `name:"without-pkce" negatable:"" help:"Whether the client, which has a secret, may leave out PKCE."`
	FirstParty     *bool    `negatable:"" help:"Whether the client is your own app, whose users are not asked for consent."`
}

// Help explains the effect on existing logins and tokens.
func (c *clientSetCommand) Help() string {
	return `Settings that are not given keep their value.
So do the client's secret, all logins and all consents.
A client cannot be changed from public to confidential, or back.

A change applies to new and refreshed tokens at once.
Access tokens keep their scopes until they expire, and authorization codes their redirect URI for a minute.
A login continues without the grant type that started it, as long as the client may use refresh_token.
Without refresh_token logins pause; they continue if the client gets it back before they expire.
To end logins at once, use 'client rotate-secret --revoke', 'consent revoke' or 'client delete'.`
}

// Run changes the client.
func (c *clientSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if c.empty() {
		return program.WithCode(program.ExitUsage, errors.New("nothing to change: give --name, --grant, --scope, "+
			"--add-scope, --remove-scope, --redirect-uri, --[no-]introspects, --introspects-for, "+
			"--[no-]without-pkce or --[no-]first-party"))
	}
	if c.Scope != nil && (c.AddScope != nil || c.RemoveScope != nil) {
		return program.WithCode(program.ExitUsage, errors.New("--scope replaces all scopes: "+
			"give either --scope, or --add-scope and --remove-scope"))
	}
	note := ""
	var changed client.Client
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		if err := checkAPIs(ctx, s, c.IntrospectsFor); err != nil {
			return err
		}
		apis, err := s.APIs(ctx)
		if err != nil {
			return err
		}
		var had oauth.Scope
		changed, err = s.UpdateClient(ctx, c.ID, func(registered client.Client) (client.Client, error) {
			had = registered.Scope
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
	return nil
}

// empty reports whether no setting is given.
func (c *clientSetCommand) empty() bool {
	return c.Name == nil && c.Grant == nil && c.Scope == nil && c.AddScope == nil && c.RemoveScope == nil &&
		c.RedirectURI == nil && c.Introspects == nil && c.IntrospectsFor == nil && c.WithoutPKCE == nil &&
		c.FirstParty == nil
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
	if c.RedirectURI != nil {
		changed.RedirectURIs = c.RedirectURI
	}
	if slices.Equal(c.RedirectURI, []string{""}) {
		changed.RedirectURIs = nil
	}
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
	if c.WithoutPKCE != nil {
		changed.WithoutPKCE = *c.WithoutPKCE
	}
	if c.FirstParty != nil {
		changed.FirstParty = *c.FirstParty
	}
	return changed, changed.Validate()
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
