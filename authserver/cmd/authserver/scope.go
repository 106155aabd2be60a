package main

import (
	"context"
	"fmt"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// scopeCommands are the commands that manage the descriptions of scopes. The consent page shows the
// name of a scope without a description.
type scopeCommands struct {
	Describe scopeDescribeCommand `cmd:"" help:"Describe a scope for the consent page. The metadata lists described scopes."`
	List     scopeListCommand     `cmd:"" help:"List the descriptions."`
	Forget   scopeForgetCommand   `cmd:"" help:"Delete the description of a scope. Clients and APIs keep the scope."`
}

type scopeDescribeCommand struct {
	server.Database `embed:""`
	Scope           string `arg:"" help:"Name of the scope."`
	Text            string `arg:"" help:"What the scope allows an app to do, starting with a verb: 'See your invoices'."`
}

// Run stores the description.
func (c *scopeDescribeCommand) Run(ctx context.Context, streams program.Streams) error {
	d := resource.ScopeDescription{Scope: c.Scope, Text: c.Text}
	if err := d.Validate(); err != nil {
		return exitError(c.Scope, err)
	}
	err := withAdmin(ctx, c.Database, func(s *admin.Service) error { return s.DescribeScope(ctx, d) })
	if err == nil {
		fmt.Fprintf(streams.Out, "scope %s: described\n", c.Scope)
	}
	return exitError(c.Scope, err)
}

type scopeForgetCommand struct {
	server.Database `embed:""`
	Scope           string `arg:"" help:"Name of the scope."`
}

// Run removes the description.
func (c *scopeForgetCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withAdmin(ctx, c.Database, func(s *admin.Service) error { return s.ForgetScope(ctx, c.Scope) })
	if err == nil {
		fmt.Fprintf(streams.Out, "scope %s: forgotten\n", c.Scope)
	}
	return exitError(c.Scope, err)
}

// shownScope is a description as the command prints it.
type shownScope struct {
	Scope       string `json:"scope"`
	Description string `json:"description"`
}

func showScope(d resource.ScopeDescription) shownScope {
	return shownScope{d.Scope, d.Text}
}

type scopeListCommand struct {
	server.Database `embed:""`
	JSON            bool `help:"Print JSON."`
}

// Run lists the descriptions.
func (c *scopeListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		described, err := s.Scopes(ctx)
		if err != nil {
			return err
		}
		header := []any{"SCOPE", "DESCRIPTION"}
		return printList(streams.Out, c.JSON, each(described, showScope), header, func(v shownScope) []any {
			return []any{v.Scope, v.Description}
		})
	})
}
