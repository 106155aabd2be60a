package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// clientCommands are the commands that manage clients.
type clientCommands struct {
	Add          clientAddCommand    `cmd:"" help:"Register a client and print its secret, if it gets one."`
	List         clientListCommand   `cmd:"" help:"List the clients."`
	Show         clientShowCommand   `cmd:"" help:"Show a client."`
	Set          clientSetCommand    `cmd:"" help:"Change a client. Its secret, logins and consents stay."`
	RotateSecret clientRotateCommand `cmd:"" help:"Replace a client's secret and print the new one. Tokens that are already issued stay valid."`
	EndOldSecret clientEndOldCommand `cmd:"" help:"End the secret that 'rotate-secret --keep-old' kept."`
	Delete       clientDeleteCommand `cmd:"" help:"Delete a client and revoke all its logins."`
}

// clientTarget is the client that a command works on.
type clientTarget struct {
	server.Database `embed:""`
	ID              string `arg:"" name:"id" help:"The client's id."`
}

type clientAddCommand struct {
	clientTarget `embed:""`
	clientKeys   `embed:""`
	Name         string       `placeholder:"NAME" help:"Display name. Defaults to the id."`
	Grant        []string     `enum:"${grant_types}" placeholder:"TYPE" required:"" help:"Grant type that it may use: ${grant_types}. Repeat for more."`
	Scope        string       `placeholder:"SCOPES" required:"" help:"Scopes that the client's tokens may have, separated by spaces."`
	RedirectURI  []string     `placeholder:"URI" sep:"none" help:"Redirect URI for authorization codes. It must match exactly. Repeat for more."`
	Logout       clientLogout `embed:""`
	Public       bool         `help:"The client cannot keep a secret, like a mobile app or a page in a browser. It gets none."`
	Introspects  bool         `help:"The client may use the introspection endpoint (RFC 7662), as an API does: for access tokens of the default API, unless --introspects-for names others, and for its own refresh tokens."`
	// IntrospectsFor replaces the default API.
	IntrospectsFor []string `placeholder:"AUDIENCE" sep:"none" help:"API whose access tokens the client may introspect; 'default' is the default API. Implies --introspects. Repeat for more."`
	ExchangeFrom   []string `placeholder:"AUDIENCE" sep:"none" help:"API whose access tokens the client may exchange (RFC 8693), as that API does; 'default' is the default API. Repeat for more."`
	ExchangeTo     []string `placeholder:"AUDIENCE" sep:"none" help:"API that the client may exchange them for. Repeat for more."`
	IDTokenAlg     string   `name:"id-token-alg" enum:"RS256,ES256,EdDSA" default:"RS256" help:"Algorithm of its ID tokens. The server needs a key for it: 'authserver key rotate --id-tokens --algorithm ES256' adds one (${default})."`
	FirstParty     bool     `help:"The client is your own app: its users are not asked for consent, unless another program can pretend to be the app (RFC 8252 section 8.6)."`
	RequirePAR     bool     `name:"require-par" help:"The client must push its authorization requests (RFC 9126)."`
	SecondFactor   bool     `name:"require-second-factor" help:"Users must log in to the client with a second factor. Those who have none add an app in the login. The client cannot use the password grant."`
	DPoP           bool     `name:"dpop" help:"All token requests of the client must have a DPoP proof (RFC 9449), so that its tokens are bound to a key. Without it the client may use DPoP."`
	WithoutPKCE    bool     `name:"without-pkce" help:"The client may leave out PKCE, which protects its codes, because its library cannot send it. Only for a client with a secret."`
}

// Notes about clients that are less protected than others.
const (
	// withoutPKCENote is printed for a client that may leave out PKCE.
	withoutPKCENote = "note: without PKCE a stolen or injected authorization code is harder to notice " +
		"(RFC 9700 section 2.1.1): allow it only while the client's library cannot send PKCE"
	// localhostNote is printed for a redirect URI that names localhost.
	localhostNote = "note: http://127.0.0.1 and http://[::1] are better than http://localhost, " +
		"which may lead to another machine (RFC 8252 section 8.3)"
)

// printNotes prints what to think of before using a client like this.
func printNotes(streams program.Streams, c client.Client) {
	if c.Allows(oauth.GrantPassword) {
		fmt.Fprintln(streams.Err, passwordNote)
	}
	if c.WithoutPKCE {
		fmt.Fprintln(streams.Err, withoutPKCENote)
	}
	if c.UsesLocalhost() {
		fmt.Fprintln(streams.Err, localhostNote)
	}
}

// Validate checks the flags. kong calls it before it looks for flags that are missing.
func (c *clientAddCommand) Validate() error {
	for _, name := range c.Grant {
		if _, known := grant.TypeWritten(name); !known {
			return fmt.Errorf("--grant must be one of %s, not %q", server.Defaults["grant_types"], name)
		}
	}
	return c.Database.Validate()
}

// passwordNote is printed when a client is allowed to use the password grant.
const passwordNote = "note: with the password grant this client sees its users' passwords " +
	"(RFC 9700 section 2.4): allow it for your own apps only"

// Run registers the client. It prints only the secret to standard output, for scripts.
func (c *clientAddCommand) Run(ctx context.Context, streams program.Streams) error {
	described, err := c.client()
	if err == nil {
		err = described.Validate()
	}
	if err != nil {
		return exitError(c.ID, err)
	}
	var registered client.Client
	secret, note := "", ""
	err = withAdmin(ctx, c.Database, func(s *admin.Service) error {
		elsewhere, err := s.ScopesElsewhere(ctx, described.Scope)
		if err != nil {
			return err
		}
		note = scopeNote(elsewhere, described.Scope)
		registered, secret, err = s.RegisterClient(ctx, described)
		return err
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	fmt.Fprintf(streams.Err, "client %s: added\n%s", c.ID, note)
	printNotes(streams, registered)
	return printSecret(streams, secret)
}

// client returns the client that the command line describes.
func (c *clientAddCommand) client() (admin.NewClient, error) {
	scope, err := oauth.ParseScope(c.Scope)
	if err != nil {
		return admin.NewClient{}, err
	}
	assertion, err := c.assertion()
	if err != nil {
		return admin.NewClient{}, err
	}
	described := c.Logout.change(client.Client{
		ID:             c.ID,
		Name:           c.Name,
		Grants:         grantTypes(c.Grant),
		Scope:          scope,
		RedirectURIs:   c.RedirectURI,
		Introspects:    c.Introspects,
		IntrospectsFor: c.IntrospectsFor,
		FirstParty:     c.FirstParty,
		WithoutPKCE:    c.WithoutPKCE,
		RequirePAR:     c.RequirePAR,
		RequireDPoP:    c.DPoP,

		RequireSecondFactor: c.SecondFactor,

		ExchangeFrom: c.ExchangeFrom,
		ExchangeTo:   c.ExchangeTo,
		Assertion:    assertion,

		IDTokenAlgorithm: c.IDTokenAlg,
	})
	return admin.NewClient{Client: described, Public: c.Public}, nil
}

// grantTypes returns the grant types of these names, which are known, without duplicates.
func grantTypes(names []string) (types []oauth.GrantType) {
	for _, name := range names {
		if t, known := grant.TypeWritten(name); known && !slices.Contains(types, t.Name) {
			types = append(types, t.Name)
		}
	}
	return types
}

// printSecret prints a new secret unless it is empty.
func printSecret(streams program.Streams, secret string) error {
	if secret == "" {
		return nil
	}
	fmt.Fprintln(streams.Err, "its secret, shown only once:")
	_, err := fmt.Fprintln(streams.Out, secret)
	return err
}

type clientDeleteCommand struct {
	clientTarget `embed:""`
}

// Run deletes the client.
func (c *clientDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	err := changeRecords(ctx, c.Database, func(s *admin.Service) error {
		ended, err := s.DeleteClient(ctx, c.ID, nil)
		if err == nil {
			printEnded(streams.Err, ended)
		}
		return err
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "client %s: deleted\n", c.ID)
	}
	return exitError(c.ID, err)
}
