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

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// apiCommands are the commands about the APIs that tokens can be for.
type apiCommands struct {
	Add    apiAddCommand    `cmd:"" help:"Register an API beside the default one, that of --audience. Clients name it as resource (RFC 8707)."`
	List   apiListCommand   `cmd:"" help:"List all registered APIs."`
	Set    apiSetCommand    `cmd:"" help:"Change the name or the scope of an API."`
	Delete apiDeleteCommand `cmd:"" help:"Delete an API: no token for it is issued any more, and all that were are revoked. To add it again within a day ends the tokens of services at every API."`
}

type apiAddCommand struct {
	server.Database `embed:""`
	Audience        string `arg:"" help:"Identifier of the API, best its URL: aud of its tokens."`
	Name            string `placeholder:"NAME" help:"What people call it. By default the audience."`
	Scope           string `placeholder:"SCOPES" required:"" help:"Scopes that tokens for it may have, separated by spaces."`
	SecretTo        string `placeholder:"PATH" help:"Make a shared secret for this API alone: add it to --keys-file, and write a new file with nothing else for the API. Without it, tokens for the API need an asymmetric key."`
	KeysFile        string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"The authorization server's JWK Set, to which the secret is added."`
}

// Run registers the API.
func (c *apiAddCommand) Run(ctx context.Context, streams program.Streams) error {
	a, err := c.api(time.Now())
	if err != nil {
		return exitError(c.Audience, err)
	}
	if c.SecretTo != "" && c.KeysFile == "" {
		return program.WithCode(program.ExitUsage, errors.New("--secret-to needs --keys-file (HALLPASS_KEYS_FILE): the file that the secret is added to"))
	}
	if err := withStore(ctx, c.Database, func(s *store.Store) error { return c.add(ctx, s, a) }); err != nil {
		return exitError(c.Audience, err)
	}
	fmt.Fprintf(streams.Out, "API %s: added\n", c.Audience)
	fmt.Fprint(streams.Err, c.note())
	return nil
}

// api returns what the command line describes.
func (c *apiAddCommand) api(now time.Time) (resource.API, error) {
	scope, err := oauth.ParseScope(c.Scope)
	if err != nil {
		return resource.API{}, err
	}
	a := resource.API{Audience: c.Audience, Name: cmp.Or(c.Name, c.Audience), Scope: scope, CreatedAt: now}
	return a, a.Validate()
}

// add makes the secret last: an API without one gets no tokens, a secret without an API
// would be left over.
func (c *apiAddCommand) add(ctx context.Context, s *store.Store, a resource.API) error {
	if err := s.CreateAPI(ctx, a); err != nil || c.SecretTo == "" {
		return err
	}
	if err := c.addSecret(); err != nil {
		return errors.Join(err, s.DeleteAPI(ctx, a.Audience, time.Now()))
	}
	return nil
}

// note is what whoever has added the API must do before all works; empty if nothing.
func (c *apiAddCommand) note() string {
	switch {
	case c.SecretTo != "":
		return fmt.Sprintf("note: %s holds the secrets of several APIs now: only the authorization server may have it. The API of --audience gets a file of its own: authserver key export %s PATH\n", c.KeysFile, c.KeysFile)
	case !c.hasKey():
		return "note: no token for this API is issued until the server has a key for it that stays: one of its own (delete the API, and add it again with --secret-to), or an asymmetric one (authserver key init --algorithm EdDSA)\n"
	}
	return ""
}

// hasKey reports whether the keys file is known and has a key that signs tokens for the
// API, today and tomorrow: one that 'api delete' has given an end is gone by then.
func (c *apiAddCommand) hasKey() bool {
	ring, err := readRing(c.KeysFile)
	if err != nil {
		return false
	}
	now := time.Now()
	_, today := ring.SignerFor(c.Audience, now)
	_, tomorrow := ring.SignerFor(c.Audience, now.Add(grant.MaxTokenLifetime))
	return today == nil && tomorrow == nil
}

// addSecret writes the API's file first, so that a secret that signs is known to the API.
func (c *apiAddCommand) addSecret() error {
	keys, err := startReplacing(c.KeysFile)
	if err != nil {
		return err
	}
	defer keys.drop()
	ring, single, err := keyring.Add(keys.content, keyring.HS256, c.Audience, time.Now(), rand.Reader)
	if err != nil {
		return fmt.Errorf("%s: %w", c.KeysFile, err)
	}
	if err := writeNew(c.SecretTo, single, 0o600); err != nil {
		return err
	}
	if err := keys.replace(ring); err != nil {
		return errors.Join(err, os.Remove(c.SecretTo))
	}
	return nil
}

type apiDeleteCommand struct {
	server.Database `embed:""`
	Audience        string `arg:"" help:"Identifier of the API."`
	KeysFile        string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"The authorization server's JWK Set, in which the API's own secret gets an end: a day from now, when the last token of it has expired."`
}

// Run deletes the API, and then gives its secret an end: until then the server signs the
// list with it that tells the API of the end of its tokens. The secret is seen to also
// where the API is deleted already, so that the command can be run again.
func (c *apiDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error { return s.DeleteAPI(ctx, c.Audience, time.Now()) })
	if err != nil && !errors.Is(err, resource.ErrNotFound) {
		return exitError(c.Audience, err)
	}
	deleted := err == nil
	if deleted {
		fmt.Fprintf(streams.Out, "API %s: deleted\n", c.Audience)
	}
	retired, keyErr := c.retireSecret(streams)
	if keyErr != nil && deleted {
		keyErr = fmt.Errorf("the API is deleted, its secret is still in the file: %w", keyErr)
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

// note is what is left to do where no file of keys was given; empty if nothing.
func (c *apiDeleteCommand) note() string {
	if c.KeysFile != "" {
		return ""
	}
	return "note: if the API has a secret of its own, run this again with --keys-file (HALLPASS_KEYS_FILE) to give it an end\n"
}

// retireSecret reports whether there was a secret to give an end to.
func (c *apiDeleteCommand) retireSecret(streams program.Streams) (bool, error) {
	if c.KeysFile == "" {
		return false, nil
	}
	keys, err := startReplacing(c.KeysFile)
	if err != nil {
		return false, err
	}
	defer keys.drop()
	now := time.Now()
	end := now.Add(grant.MaxTokenLifetime)
	retired, changed, err := keyring.Retire(keys.content, c.Audience, now, end)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.KeysFile, err)
	}
	if !changed {
		return false, nil
	}
	if err := keys.replace(retired); err != nil {
		return false, err
	}
	fmt.Fprintf(streams.Out, "%s: the API's secret ends at %s\n", c.KeysFile, end.UTC().Format(time.RFC3339))
	return true, nil
}

// shownAPI is an API as list prints it.
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
	return withStore(ctx, c.Database, func(s *store.Store) error {
		apis, err := s.APIs(ctx)
		if err != nil {
			return err
		}
		show := func(a resource.API) shownAPI {
			return shownAPI{a.Audience, a.Name, a.Scope.String(), a.AnyScope, s.IsDefaultAPI(a.Audience), a.CreatedAt}
		}
		head := []any{"AUDIENCE", "NAME", "SCOPE"}
		return printList(streams.Out, c.JSON, each(apis, show), head, func(v shownAPI) []any {
			return []any{v.Audience, v.Name, v.scope()}
		})
	})
}
