package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/configfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// exitDiffers is the exit code of 'apply --dry-run --exit-code' if something would change.
const exitDiffers = 5

type applyCommand struct {
	server.Database `embed:""`
	File            []string `short:"f" required:"" sep:"none" placeholder:"PATH" help:"YAML file, or folder with files that end in .yaml or .yml; - for standard input. Repeat for more."`
	DryRun          bool     `help:"Print what would change, and change nothing."`
	Prune           bool     `help:"Delete clients, APIs and descriptions of scopes that are not in the files."`
	ExitCode        bool     `help:"With --dry-run: exit with 5 if something would change."`
}

// Help explains what a file has.
func (c *applyCommand) Help() string {
	return `The files say which clients, APIs and descriptions of scopes there should be. 'authserver export' writes such a
file. Secrets are not in it: it says which environment variable or file has them.

All changes are made in one transaction, or none. A second 'apply' has nothing to change. --prune deletes neither the
default API nor clients that have registered themselves.`
}

// Validate checks the flags. kong calls it before it looks for flags that are missing.
func (c *applyCommand) Validate() error {
	if c.ExitCode && !c.DryRun {
		return errors.New("--exit-code needs --dry-run")
	}
	return c.Database.Validate()
}

// maxPlans is how often apply makes a new plan because somebody else has changed something meanwhile.
const maxPlans = 20

// Run makes a plan, prints it, and applies it.
func (c *applyCommand) Run(ctx context.Context, streams program.Streams) error {
	config, err := configfile.Load(c.File, streams.In)
	if err != nil {
		return exitError("", err)
	}
	desired, err := config.Desired(configfile.Files)
	if err != nil {
		return exitError("", err)
	}
	changed, err := c.apply(ctx, streams, desired)
	switch {
	case err != nil:
		return unchanged(err)
	case !changed:
		fmt.Fprintln(streams.Out, "nothing to change")
	case c.DryRun && c.ExitCode:
		return program.WithCode(exitDiffers, errDryRun)
	case c.DryRun:
		fmt.Fprintln(streams.Err, errDryRun)
	default:
		waitForServers(ctx)
	}
	return nil
}

// errDryRun says that the changes that were printed were not made.
var errDryRun = errors.New("nothing was changed: this is a dry run")

// apply brings the database to what is desired, and reports whether there was, or is, something to change. If somebody
// else changes something meanwhile, it begins again.
func (c *applyCommand) apply(ctx context.Context, streams program.Streams, d admin.Desired) (changed bool, err error) {
	err = withAdmin(ctx, c.Database, func(s *admin.Service) error {
		for range maxPlans {
			p, err := s.Plan(ctx, d, c.Prune)
			if err != nil {
				return err
			}
			changed = len(p.Changes) > 0
			printChanges(streams.Out, p.Changes)
			if c.DryRun {
				return nil
			}
			if err := s.Apply(ctx, p); !errors.Is(err, admin.ErrChanged) {
				return err
			}
			fmt.Fprintln(streams.Err, "somebody else has changed something meanwhile: trying again")
		}
		return admin.ErrChanged
	})
	return changed, err
}

// printChanges prints changes for people.
func printChanges(out io.Writer, changes []admin.Change) {
	count := map[admin.Action]int{}
	for _, c := range changes {
		count[c.Action]++
		fmt.Fprintf(out, "%s %s %s", c.Action, c.Kind, c.Key)
		if c.Action == admin.Delete && c.Ended.Grants > 0 {
			fmt.Fprintf(out, ", which ends %s", describeLogins(c.Ended))
		}
		fmt.Fprintln(out)
		for _, s := range c.Settings {
			fmt.Fprintln(out, "    "+describeSetting(c.Action, s))
		}
	}
	if len(changes) > 0 {
		fmt.Fprintf(out, "%d to add, %d to change, %d to delete\n",
			count[admin.Add], count[admin.Alter], count[admin.Delete])
	}
}

// describeSetting says how a setting changes.
func describeSetting(action admin.Action, s admin.Setting) string {
	shown := func(text string) string {
		if text == "" {
			return "(not set)"
		}
		return text
	}
	if action == admin.Add {
		return fmt.Sprintf("%s: %s", s.Name, shown(s.Is))
	}
	was, is := shown(s.Was), shown(s.Is)
	if strings.Contains(s.Was+s.Is, " ") { // lists are easier to compare one below the other
		return fmt.Sprintf("%s: %s\n    %*s %s", s.Name, was, len(s.Name)+len(":"), "->", is)
	}
	return fmt.Sprintf("%s: %s -> %s", s.Name, was, is)
}

type exportCommand struct {
	server.Database `embed:""`
}

// Help says what is missing.
func (c *exportCommand) Help() string {
	return `It prints the clients, APIs and descriptions of scopes as a file for 'authserver apply', always in the same
order. The database has no secrets, only digests of them, so each client with a secret has 'secret: {keep: true}', which
means that it keeps its secret. Clients that have registered themselves are left out.`
}

// Run prints the file.
func (c *exportCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		d, err := s.Export(ctx)
		if err != nil {
			return err
		}
		text, err := configfile.From(d).Format()
		if err == nil {
			_, err = streams.Out.Write(text)
		}
		return err
	})
}
