package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// apiSetCommand changes the fields that are not nil.
type apiSetCommand struct {
	server.Database `embed:""`
	Audience        string  `arg:"" help:"Identifier of the API."`
	Name            *string `placeholder:"NAME" help:"Display name."`
	Scope           *string `xor:"scope" placeholder:"SCOPES" help:"Scopes that tokens for the API may have, separated by spaces. Replaces the current ones."`
	AnyScope        bool    `xor:"scope" help:"Let tokens for the API have every scope that the client may have, as for the default API."`
}

// Help explains the effect on existing logins and tokens.
func (c *apiSetCommand) Help() string {
	return `Settings that are not given keep their value.
So do the API's secret, all logins and all consents.

New and refreshed tokens no longer have a scope that is removed.
Tokens that are already issued keep it until they expire.`
}

// Run changes the API.
func (c *apiSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if c.Name == nil && c.Scope == nil && !c.AnyScope {
		return program.WithCode(program.ExitUsage, errors.New("nothing to change: give --name, --scope or --any-scope"))
	}
	err := changeRecords(ctx, c.Database, func(s *store.Store) error {
		_, err := s.UpdateAPI(ctx, c.Audience, c.change)
		return err
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "API %s: changed\n", c.Audience)
	}
	return exitError(c.Audience, err)
}

// change returns the changed API, or why it is not valid.
func (c *apiSetCommand) change(changed resource.API) (resource.API, error) {
	if c.Name != nil {
		changed.Name = *c.Name
	}
	if c.Scope != nil {
		scope, err := oauth.ParseScope(*c.Scope)
		if err != nil {
			return resource.API{}, err
		}
		changed.Scope, changed.AnyScope = scope, false
	}
	if c.AnyScope {
		changed.Scope, changed.AnyScope = nil, true
	}
	return changed, changed.Validate()
}
