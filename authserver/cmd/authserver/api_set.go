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

// apiSetCommand changes what is given; what is nil was not.
type apiSetCommand struct {
	server.Database `embed:""`
	Audience        string  `arg:"" help:"Identifier of the API."`
	Name            *string `placeholder:"NAME" help:"What people call it."`
	Scope           *string `xor:"scope" placeholder:"SCOPES" help:"Scopes that tokens for it may have, separated by spaces, in place of the current ones."`
	AnyScope        bool    `xor:"scope" help:"Let tokens for it have every scope that the client may have, as the default API does."`
}

// Help says what a change means for what was given before.
func (c *apiSetCommand) Help() string {
	return `What is not given stays as it is, and so do the API's secret, all logins and what users have allowed. A scope that is taken away is missing at once from every new or refreshed token; one that is out keeps it until it expires.`
}

// Run changes the API.
func (c *apiSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if c.Name == nil && c.Scope == nil && !c.AnyScope {
		return program.WithCode(program.ExitUsage, errors.New("nothing to change: give --name, --scope or --any-scope"))
	}
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		_, err := s.UpdateAPI(ctx, c.Audience, c.change)
		return err
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "API %s: changed\n", c.Audience)
	}
	return exitError(c.Audience, err)
}

// change returns what an API becomes. It is checked as a new one is.
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
