package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// apiCommands are the commands that manage the APIs that tokens can be for.
type apiCommands struct {
	Add    apiAddCommand    `cmd:"" help:"Register an API besides the default one (serve --audience). Clients request it with the resource parameter (RFC 8707)."`
	List   apiListCommand   `cmd:"" help:"List the registered APIs."`
	Set    apiSetCommand    `cmd:"" help:"Change the name or the scopes of an API."`
	Delete apiDeleteCommand `cmd:"" help:"Delete an API and revoke its tokens. Adding it again within a day revokes the tokens of services at every API."`
}

type apiAddCommand struct {
	server.Database `embed:""`
	Audience        string `arg:"" help:"Identifier of the API, usually its URL. It is the aud claim of its tokens."`
	Name            string `placeholder:"NAME" help:"Display name. Defaults to the audience."`
	Scope           string `placeholder:"SCOPES" required:"" help:"Scopes that tokens for the API may have, separated by spaces."`
	SecretTo        string `placeholder:"PATH" help:"Create a shared secret for this API only. It is added to --keys-file and written to a new file at PATH for the API. Without it, tokens for the API need an asymmetric key."`
	KeysFile        string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"JWK Set of the authorization server. The secret is added to it."`
	IfMissing       bool   `help:"Change nothing and succeed if the API is registered already, for scripts that run at each start."`
}

// Run registers the API.
func (c *apiAddCommand) Run(ctx context.Context, streams program.Streams) error {
	a, err := c.api()
	if err != nil {
		return exitError(c.Audience, err)
	}
	if c.SecretTo != "" && c.KeysFile == "" {
		err := errors.New("--secret-to needs --keys-file (HALLPASS_KEYS_FILE): the file that the secret is added to")
		return program.WithCode(program.ExitUsage, err)
	}
	err = changeRecords(ctx, c.Database, func(s *admin.Service) error { return c.add(ctx, s, a) })
	if c.IfMissing && errors.Is(err, record.ErrExists) {
		fmt.Fprintf(streams.Out, "API %s: registered already\n", c.Audience)
		return nil
	}
	if err != nil {
		return exitError(c.Audience, err)
	}
	fmt.Fprintf(streams.Out, "API %s: added\n", c.Audience)
	fmt.Fprint(streams.Err, c.note(time.Now()))
	return nil
}

// api returns the API that the command line describes.
func (c *apiAddCommand) api() (resource.API, error) {
	scope, err := oauth.ParseScope(c.Scope)
	if err != nil {
		return resource.API{}, err
	}
	a := resource.API{Audience: c.Audience, Name: cmp.Or(c.Name, c.Audience), Scope: scope}
	return a, a.Validate()
}

// add registers the API and then creates its secret. Until then no token for the API is issued. If
// the secret cannot be created, add deletes the API again.
func (c *apiAddCommand) add(ctx context.Context, s *admin.Service, a resource.API) error {
	if _, err := s.RegisterAPI(ctx, a); err != nil || c.SecretTo == "" {
		return err
	}
	if err := c.addSecret(); err != nil {
		_, deleting := s.DeleteAPI(ctx, a.Audience, nil)
		return errors.Join(err, deleting)
	}
	return nil
}

// addSecret creates the API's secret. It writes the API's file first, so that the API knows the
// secret before it signs tokens.
func (c *apiAddCommand) addSecret() error {
	keys, err := keyfile.Replace(c.KeysFile)
	if err != nil {
		return err
	}
	defer keys.Discard()
	ring, single, err := keyring.Add(keys.Content(), keyring.HS256, c.Audience, time.Now(), rand.Reader)
	if err != nil {
		return fmt.Errorf("%s: %w", c.KeysFile, err)
	}
	if err := keyfile.Create(c.SecretTo, single); err != nil {
		return err
	}
	if err := keys.Write(ring); err != nil {
		return errors.Join(err, os.Remove(c.SecretTo))
	}
	return nil
}

type apiDeleteCommand struct {
	server.Database `embed:""`
	Audience        string `arg:"" help:"Identifier of the API."`
	KeysFile        string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"JWK Set of the authorization server. The API's own secret in it expires a day from now, when its last token has expired."`
}

// Run deletes the API and then sets the expiry of its secret. Until the secret expires the server
// signs the API's status list with it. Run also retires the secret of an API that is already deleted,
// so that the command can be repeated.
func (c *apiDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	err := changeRecords(ctx, c.Database, func(s *admin.Service) error {
		ended, err := s.DeleteAPI(ctx, c.Audience, nil)
		if err == nil {
			printEnded(streams.Err, ended)
		}
		return err
	})
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return exitError(c.Audience, err)
	}
	deleted := err == nil
	if deleted {
		fmt.Fprintf(streams.Out, "API %s: deleted\n", c.Audience)
	}
	retired, keyErr := c.retireSecret(streams)
	if keyErr != nil && deleted {
		keyErr = fmt.Errorf("the API is deleted, but its secret is still in the file: %w", keyErr)
	}
	if keyErr != nil {
		return exitError(c.Audience, keyErr)
	}
	if !deleted && !retired {
		return exitError(c.Audience, err)
	}
	fmt.Fprint(streams.Err, c.note())
	return nil
}

// note returns what the operator still has to do; empty if nothing.
func (c *apiDeleteCommand) note() string {
	if c.KeysFile != "" {
		return ""
	}
	return "note: if the API has a secret of its own, " +
		"run this command again with --keys-file (HALLPASS_KEYS_FILE) to make it expire\n"
}

// retireSecret makes the API's secret expire. It reports whether there was one.
func (c *apiDeleteCommand) retireSecret(streams program.Streams) (bool, error) {
	if c.KeysFile == "" {
		return false, nil
	}
	keys, err := keyfile.Replace(c.KeysFile)
	if err != nil {
		return false, err
	}
	defer keys.Discard()
	now := time.Now()
	end := now.Add(grant.MaxTokenLifetime)
	retired, changed, err := keyring.Retire(keys.Content(), c.Audience, now, end)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.KeysFile, err)
	}
	if !changed {
		return false, nil
	}
	if err := keys.Write(retired); err != nil {
		return false, err
	}
	fmt.Fprintf(streams.Out, "%s: the API's secret expires at %s\n", c.KeysFile, end.UTC().Format(time.RFC3339))
	return true, nil
}

// shownAPI is an API as the command prints it.
type shownAPI struct {
	Audience  string    `json:"audience"`
	Name      string    `json:"name"`
	Scope     string    `json:"scope"`
	AnyScope  bool      `json:"any_scope"`
	Default   bool      `json:"default"`
	CreatedAt time.Time `json:"created_at"`
}

// scope is what a table shows of the scope, and whether it is the default API.
func (a shownAPI) scope() string {
	shown := a.Scope
	if a.AnyScope {
		shown = "(any)"
	}
	if a.Default {
		shown += " (default API)"
	}
	return shown
}

type apiListCommand struct {
	server.Database `embed:""`
	JSON            bool `help:"Print JSON."`
}

// Run lists the APIs.
func (c *apiListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		apis, err := s.APIs(ctx)
		if err != nil {
			return err
		}
		show := func(a resource.API) shownAPI {
			return shownAPI{a.Audience, a.Name, a.Scope.String(), a.AnyScope, s.IsDefaultAPI(a.Audience), a.CreatedAt}
		}
		header := []any{"AUDIENCE", "NAME", "SCOPE"}
		return printList(streams.Out, c.JSON, each(apis, show), header, func(v shownAPI) []any {
			return []any{v.Audience, v.Name, v.scope()}
		})
	})
}
