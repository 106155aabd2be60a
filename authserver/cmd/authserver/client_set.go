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

// clientSetCommand changes what is given; what is nil was not.
type clientSetCommand struct {
	clientTarget `embed:""`
	Name         *string  `placeholder:"NAME" help:"What people call it."`
	Grant        []string `enum:"${grant_types}" placeholder:"TYPE" help:"Grant type that it may use, in place of all that it may use now. Repeat for more."`
	Scope        *string  `placeholder:"SCOPES" help:"Scopes that its tokens may have, separated by spaces, in place of those of now."`
	RedirectURI  []string `placeholder:"URI" sep:"none" help:"Where it may be sent back to, in place of all that it may be sent to now. Repeat for more; an empty one alone means nowhere."`
	Introspects  *bool    `negatable:"" help:"Whether it may ask the server about tokens (RFC 7662)."`
	FirstParty   *bool    `negatable:"" help:"Whether it is your own app: if so, its users are not asked for consent."`
}

// Help says what a change means for what was given before.
func (c *clientSetCommand) Help() string {
	return `What is not given stays as it is, and so do the secret, all logins and what users have allowed. Whether a client is public cannot be changed.

What is taken away is missing at once from everything that the client asks for, refreshed tokens included. An access token that is out keeps its scope until it expires, and an authorization code for a minute its redirect URI. Without refresh_token the client cannot refresh; its logins wait, and go on if it gets the grant type back in time. A login outlives the grant type that began it, for as long as the client may refresh. 'client rotate-secret --revoke', 'consent revoke' and 'client delete' end all that at once.`
}

// Run changes the client.
func (c *clientSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if c.Name == nil && c.Grant == nil && c.Scope == nil && c.RedirectURI == nil && c.Introspects == nil && c.FirstParty == nil {
		return program.WithCode(program.ExitUsage, errors.New("nothing to change: give --name, --grant, --scope, --redirect-uri, --[no-]introspects or --[no-]first-party"))
	}
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		_, err := s.UpdateClient(ctx, c.ID, c.change)
		return err
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	fmt.Fprintf(streams.Out, "client %s: changed\n", c.ID)
	if slices.Contains(c.Grant, string(oauth.GrantPassword)) {
		fmt.Fprintln(streams.Err, passwordNote)
	}
	return nil
}

// change returns what a client becomes. It is checked as a new one is.
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
	}
	if c.FirstParty != nil {
		changed.FirstParty = *c.FirstParty
	}
	return changed, changed.Validate()
}
