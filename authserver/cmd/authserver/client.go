package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// clientCommands are the commands about clients.
type clientCommands struct {
	Add          clientAddCommand    `cmd:"" help:"Register a client. Its secret, if it is to have one, is made and printed once."`
	List         clientListCommand   `cmd:"" help:"List all clients."`
	Show         clientShowCommand   `cmd:"" help:"Show one client."`
	Set          clientSetCommand    `cmd:"" help:"Change a client. Its secret, its logins and what users have allowed it stay."`
	RotateSecret clientRotateCommand `cmd:"" help:"Give a client a new secret, printed once; the old one stops working, tokens that are out do not."`
	Delete       clientDeleteCommand `cmd:"" help:"Delete a client and end all sessions with it."`
}

// clientTarget names the client that a command is about.
type clientTarget struct {
	server.Database `embed:""`
	ID              string `arg:"" name:"id" help:"The client's id."`
}

type clientAddCommand struct {
	clientTarget `embed:""`
	Name         string   `placeholder:"NAME" help:"What people call it. By default the id."`
	Grant        []string `enum:"${grant_types}" placeholder:"TYPE" required:"" help:"Grant type that it may use: ${grant_types}. Repeat for more."`
	Scope        string   `placeholder:"SCOPES" required:"" help:"Scopes that its tokens may have, separated by spaces."`
	RedirectURI  []string `placeholder:"URI" sep:"none" help:"Where it may be sent back to with an authorization code, letter by letter. Repeat for more."`
	Public       bool     `help:"It cannot keep a secret (an app on a phone, a page in a browser), so it gets none."`
	Introspects  bool     `help:"It may ask the server about tokens (RFC 7662), as an API does."`
	FirstParty   bool     `help:"It is your own app: its users are not asked for consent."`
}

// passwordNote is for whoever lets a client use the password grant.
const passwordNote = "note: with the password grant this client sees its users' passwords (RFC 9700 section 2.4): allow it to your own apps only"

// Run registers the client. The secret is all that goes to standard output, so that
// a script can take it from there.
func (c *clientAddCommand) Run(ctx context.Context, streams program.Streams) error {
	registered, err := c.client(time.Now())
	if err != nil {
		return exitError(c.ID, err)
	}
	secret := ""
	if !c.Public {
		if secret, registered.SecretDigest, err = client.GenerateSecret(rand.Reader); err != nil {
			return err
		}
	}
	if err := registered.Validate(); err != nil {
		return exitError(c.ID, err)
	}
	err = withStore(ctx, c.Database, func(s *store.Store) error { return s.CreateClient(ctx, registered) })
	if err != nil {
		return exitError(c.ID, err)
	}
	fmt.Fprintf(streams.Err, "client %s: added\n", c.ID)
	if registered.Allows(oauth.GrantPassword) {
		fmt.Fprintln(streams.Err, passwordNote)
	}
	return printSecret(streams, secret)
}

func (c *clientAddCommand) client(now time.Time) (client.Client, error) {
	scope, err := oauth.ParseScope(c.Scope)
	if err != nil {
		return client.Client{}, err
	}
	registered := client.Client{ID: c.ID, Name: c.Name, Grants: grantTypes(c.Grant), Scope: scope, RedirectURIs: c.RedirectURI, Introspects: c.Introspects, FirstParty: c.FirstParty, CreatedAt: now}
	if registered.Name == "" {
		registered.Name = c.ID
	}
	return registered, nil
}

// grantTypes returns each of the grant types once.
func grantTypes(names []string) (types []oauth.GrantType) {
	for _, name := range names {
		if t := oauth.GrantType(name); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// printSecret prints a new secret, if there is one.
func printSecret(streams program.Streams, secret string) error {
	if secret == "" {
		return nil
	}
	fmt.Fprintln(streams.Err, "its secret, shown this once:")
	_, err := fmt.Fprintln(streams.Out, secret)
	return err
}

type clientRotateCommand struct {
	clientTarget `embed:""`
	Revoke       bool `help:"Also end all logins with the client and all tokens that it was given, for when somebody else knows the old secret. Without this, they stay good."`
}

// Run replaces the secret.
func (c *clientRotateCommand) Run(ctx context.Context, streams program.Streams) error {
	secret, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		return err
	}
	err = withStore(ctx, c.Database, func(s *store.Store) error {
		known, err := s.ClientByID(ctx, c.ID)
		if err == nil && known.Public() {
			return fmt.Errorf("%w: %s is public and has no secret", client.ErrBad, c.ID)
		}
		if err != nil {
			return err
		}
		if c.Revoke {
			return s.ReplaceClientSecret(ctx, c.ID, digest, time.Now())
		}
		return s.SetClientSecret(ctx, c.ID, digest)
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	return printSecret(streams, secret)
}

type clientDeleteCommand struct {
	clientTarget `embed:""`
}

// Run deletes the client.
func (c *clientDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error { return s.DeleteClient(ctx, c.ID, time.Now()) })
	if err == nil {
		fmt.Fprintf(streams.Out, "client %s: deleted\n", c.ID)
	}
	return exitError(c.ID, err)
}

// shownClient is a client as list and show print it: without the digest.
type shownClient struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Public       bool              `json:"public"`
	FirstParty   bool              `json:"first_party"`
	Introspects  bool              `json:"introspects"`
	Grants       []oauth.GrantType `json:"grant_types"`
	RedirectURIs []string          `json:"redirect_uris,omitempty"`
	Scope        string            `json:"scope"`
	CreatedAt    time.Time         `json:"created_at"`
}

func showClient(c client.Client) shownClient {
	return shownClient{c.ID, c.Name, c.Public(), c.FirstParty, c.Introspects, c.Grants, c.RedirectURIs, c.Scope.String(), c.CreatedAt}
}

// kind is what a table says in place of two booleans.
func (c shownClient) kind() string {
	kind := "confidential"
	if c.Public {
		kind = "public"
	}
	if c.FirstParty {
		kind += ", first party"
	}
	if c.Introspects {
		kind += ", introspects"
	}
	return kind
}

func (c shownClient) grants() string {
	return strings.Trim(fmt.Sprint(c.Grants), "[]")
}

type clientListCommand struct {
	server.Database `embed:""`
	JSON            bool `help:"Print JSON."`
}

// Run lists the clients.
func (c *clientListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		clients, err := s.Clients(ctx)
		if err != nil {
			return err
		}
		return printList(streams.Out, c.JSON, each(clients, showClient), []any{"ID", "NAME", "KIND", "GRANTS", "SCOPE"}, func(v shownClient) []any {
			return []any{v.ID, v.Name, v.kind(), v.grants(), v.Scope}
		})
	})
}

type clientShowCommand struct {
	clientTarget `embed:""`
	JSON         bool `help:"Print JSON."`
}

// Run shows the client.
func (c *clientShowCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		registered, err := s.ClientByID(ctx, c.ID)
		if err != nil {
			return err
		}
		v := showClient(registered)
		if c.JSON {
			return printJSON(streams.Out, v)
		}
		return printTable(streams.Out, []any{"id", v.ID}, [][]any{
			{"name", v.Name}, {"kind", v.kind()}, {"grants", v.grants()}, {"redirect URIs", strings.Join(v.RedirectURIs, " ")}, {"scope", v.Scope}, {"created", when(&v.CreatedAt)},
		})
	})
	return exitError(c.ID, err)
}
