package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// keyCommands are the commands that manage signing keys.
type keyCommands struct {
	Export keyExportCommand `cmd:"" help:"Write the keys that an API needs to a new file: its shared secrets and the public part of other keys."`
	Init   keyInitCommand   `cmd:"" help:"Create a JWK Set with a new key, in a file that only its owner can read."`
	List   keyListCommand   `cmd:"" help:"List the keys of a JWK Set and their state."`
	Rotate keyRotateCommand `cmd:"" help:"Add a key that replaces the current one. Running servers notice it."`
}

type keyInitCommand struct {
	Path      string `arg:"" help:"File to create. It must not exist."`
	Algorithm string `enum:"HS256,EdDSA,ES256,RS256" default:"HS256" help:"HS256 for a secret that both servers share. EdDSA, ES256 or RS256 for a key pair whose public key the API gets with --keys-url (${default})."`
}

// Run creates the file. It never overwrites one.
func (c *keyInitCommand) Run(streams program.Streams) error {
	if err := writeKeys(c.Path, c.Algorithm); err != nil {
		return exitError("", err)
	}
	use := "both servers, and only to them, with --keys-file"
	if c.Algorithm != keyring.HS256 {
		use = "the authorization server only, with --keys-file, and set --keys-url for the API"
	}
	fmt.Fprintf(streams.Out, "created %s: give it to %s\n", c.Path, use)
	return nil
}

type keyExportCommand struct {
	From string `arg:"" help:"JWK Set of the authorization server."`
	To   string `arg:"" help:"File to create. It must not exist."`
	API  string `name:"api" placeholder:"AUDIENCE" help:"Registered API that the file is for. Defaults to the default API (serve --audience)."`
}

// Run writes the file. It never overwrites one.
func (c *keyExportCommand) Run(streams program.Streams) error {
	if _, err := regularFile(c.From); err != nil {
		return err
	}
	set, err := os.ReadFile(c.From)
	if err != nil {
		return err
	}
	data, err := keyring.ForAPI(set, c.API)
	if err != nil {
		return exitError("", inFile(c.From, err))
	}
	if err := writeNew(c.To, data); err != nil {
		return exitError("", err)
	}
	fmt.Fprintf(streams.Out, "created %s\n", c.To)
	return nil
}

// initCommand creates the secrets for a first start, for example in containers.
type initCommand struct {
	KeysFile             string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"File for a JWK Set with a new key, readable by its owner only."`
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

// Run creates each file that is given and does not exist.
func (c *initCommand) Run(streams program.Streams) error {
	for _, secret := range []struct {
		path string
		make func(path string) error
	}{
		{c.KeysFile, func(path string) error { return writeKeys(path, keyring.HS256) }},
		{c.DatabasePasswordFile, writePassword},
	} {
		if secret.path == "" {
			continue
		}
		switch err := secret.make(secret.path); {
		case err == nil:
			fmt.Fprintf(streams.Out, "created %s\n", secret.path)
		case errors.Is(err, errFileExists):
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

// writeKeys creates a JWK Set with a new key.
func writeKeys(path, algorithm string) error {
	data, err := keyring.Generate(algorithm, time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	return writeNew(path, data)
}

// writePassword creates a file with a random password.
func writePassword(path string) error {
	password, err := secret.New(rand.Reader, "")
	if err != nil {
		return err
	}
	return writeNew(path, []byte(password+"\n"))
}

// writeNew creates a file that only its owner can read. It returns errFileExists if it exists.
func writeNew(path string, data []byte) error {
	if path == "" {
		return errEmpty("the path of a file")
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", path, errFileExists)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // do not leave half a secret
	}
	return nil
}
