package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
			"--redirect-uri, --[no-]introspects, --introspects-for, --[no-]without-pkce or --[no-]first-party"))
	}
	var changed client.Client
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		err := checkAPIs(ctx, s, c.IntrospectsFor)
		if err != nil {
			return err
		}
		changed, err = s.UpdateClient(ctx, c.ID, c.change)
		return err
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	fmt.Fprintf(streams.Out, "client %s: changed\n", c.ID)
	if c.Grant != nil || c.RedirectURI != nil || c.WithoutPKCE != nil {
		printNotes(streams, changed)
	}
	return nil
}

// empty reports whether no setting is given.
func (c *clientSetCommand) empty() bool {
	return c.Name == nil && c.Grant == nil && c.Scope == nil && c.RedirectURI == nil &&
		c.Introspects == nil && c.IntrospectsFor == nil && c.WithoutPKCE == nil && c.FirstParty == nil
}

// change returns the changed client, or why it is not valid.
func (c *clientSetCommand) change(changed client.Client) (client.Client, error) {
	if c.Name != nil {
		changed.Name = *c.Name
	}
	if c.Grant != nil {
		changed.Grants = grantTypes(c.Grant)
	}
	if c.Scope != nil {
		scope, err := oauth.ParseScope(*c.Scope)
		if err != nil {
			return client.Client{}, err
		}
		changed.Scope = scope
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
