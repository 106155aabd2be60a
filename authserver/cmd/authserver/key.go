package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
)

// keyCommands are the commands that manage signing keys.
type keyCommands struct {
	Export keyExportCommand `cmd:"" help:"Write the keys that an API needs to a new file: its shared secrets and the public part of other keys."`
	Init   keyInitCommand   `cmd:"" help:"Create the JWK Sets of the authorization server and of the API, in files that only their owner can read."`
	List   keyListCommand   `cmd:"" help:"List the keys of a JWK Set and their state."`
	Rotate keyRotateCommand `cmd:"" help:"Add a key that replaces the current one. Running servers notice it."`

	RotateSecret keyRotateSecretCommand `cmd:"" name:"rotate-secret" help:"Rotate keys in Kubernetes Secrets, from a pod."`
}

type keyInitCommand struct {
	apiKeys   `embed:""`
	Path      string `arg:"" help:"File to create. It must not exist."`
	Algorithm string `enum:"HS256,EdDSA,ES256,RS256" default:"HS256" help:"HS256 for a secret that both servers share. EdDSA, ES256 or RS256 for a key pair whose public key the API gets with --keys-url (${default})."`
}

// Help explains the two files.
func (c *keyInitCommand) Help() string {
	return `The authorization server's file has the key that signs access tokens, and an RSA key that signs ID tokens,
which no API needs. With HS256 the API's file has the shared secret alone; with the other algorithms there is
no such file.`
}

// Run creates the files. It never overwrites one.
func (c *keyInitCommand) Run(streams program.Streams) error {
	created, err := c.create(c.Path, c.Algorithm)
	if err != nil {
		return exitError("", err)
	}
	tellCreated(streams, c.Algorithm, created)
	return nil
}

type keyExportCommand struct {
	From string `arg:"" help:"JWK Set of the authorization server."`
	To   string `arg:"" help:"File to create. It must not exist."`
	API  string `name:"api" placeholder:"AUDIENCE" help:"Registered API that the file is for. Defaults to the default API (serve --audience)."`
}

// Run writes the file. It never overwrites one.
func (c *keyExportCommand) Run(streams program.Streams) error {
	if _, err := keyfile.Regular(c.From); err != nil {
		return exitError("", err)
	}
	set, err := os.ReadFile(c.From)
	if err != nil {
		return err
	}
	data, err := keyring.ForAPI(set, c.API)
	if err != nil {
		return exitError("", keyfile.InFile(c.From, err))
	}
	if err := keyfile.Create(c.To, data); err != nil {
		return exitError("", err)
	}
	fmt.Fprintf(streams.Out, "created %s\n", c.To)
	return nil
}

// initCommand creates the secrets for a first start, for example in containers.
type initCommand struct {
	apiKeys              `embed:""`
	KeysFile             string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"File for a JWK Set with new keys, readable by its owner only."`
	DatabasePasswordFile string `env:"HALLPASS_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File for a random password for PostgreSQL. It is readable by its owner only."`
}

// Validate checks the flags. kong calls it before Run.
func (c *initCommand) Validate() error {
	if c.KeysFile == "" && c.DatabasePasswordFile == "" {
		return errors.New("set --keys-file (HALLPASS_KEYS_FILE), " +
			"--database-password-file (HALLPASS_DATABASE_PASSWORD_FILE) or both")
	}
	return nil
}

// Run creates each file that is given and does not exist. An API's file that is missing is made from that
// of the authorization server, which may be that of an earlier version.
func (c *initCommand) Run(streams program.Streams) error {
	api := ""
	if c.KeysFile != "" {
		api = c.path(c.KeysFile)
	}
	for _, secret := range []struct {
		path string
		make func(path string) error
	}{
		{c.KeysFile, writeKeys},
		{api, func(string) error { return c.exportIfNeeded() }},
		{c.DatabasePasswordFile, writePassword},
	} {
		if secret.path == "" {
			continue
		}
		switch err := secret.make(secret.path); {
		case errors.Is(err, errNotNeeded):
		case err == nil:
			fmt.Fprintf(streams.Out, "created %s\n", secret.path)
		case errors.Is(err, keyfile.ErrExists):
			if err := os.Chmod(secret.path, 0o600); err != nil { // earlier versions made passwords readable
				return err
			}
			fmt.Fprintln(streams.Out, err)
		default:
			return err
		}
	}
	return nil
}

// errNotNeeded means that an API needs no file.
var errNotNeeded = errors.New("not needed")

// exportIfNeeded creates the API's file. It returns errNotNeeded if the API reads public keys.
func (c *initCommand) exportIfNeeded() error {
	path, err := c.export(c.KeysFile)
	if err == nil && path == "" {
		return errNotNeeded
	}
	return err
}

// writeKeys creates the JWK Set of an authorization server: a shared secret, and a key for ID tokens.
func writeKeys(path string) error {
	set, err := newServerKeys(keyring.HS256, time.Now())
	if err != nil {
		return err
	}
	return keyfile.Create(path, set)
}

// writePassword creates a file with a random password.
func writePassword(path string) error {
	password, err := secret.New(rand.Reader, "")
	if err != nil {
		return err
	}
	return keyfile.Create(path, []byte(password+"\n"))
}
