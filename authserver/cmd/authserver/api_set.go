package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
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
	p, err := c.patch()
	if err != nil {
		return exitError(c.Audience, err)
	}
	err = changeRecords(ctx, c.Database, func(s *admin.Service) error {
		_, err := s.ChangeAPI(ctx, c.Audience, p, nil)
		return err
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "API %s: changed\n", c.Audience)
	}
	return exitError(c.Audience, err)
}

// patch returns what the command line changes.
func (c *apiSetCommand) patch() (admin.APIPatch, error) {
	p := admin.APIPatch{Name: c.Name, AnyScope: c.AnyScope}
	if c.Scope == nil {
		return p, nil
	}
	scope, err := oauth.ParseScope(*c.Scope)
	p.Scope = append(oauth.Scope{}, scope...) // not nil, which would keep the current one
	return p, err
}
