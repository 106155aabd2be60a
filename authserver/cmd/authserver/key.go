package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// keyCommands are the commands about signing keys.
type keyCommands struct {
	Export keyExportCommand `cmd:"" help:"Write what one API needs of the keys into a new file: shared secrets, and the public half of other keys."`
	Init   keyInitCommand   `cmd:"" help:"Make a JWK Set with one new key in a new file that only its owner can read."`
	List   keyListCommand   `cmd:"" help:"List the keys of a JWK Set, and what each is doing."`
	Rotate keyRotateCommand `cmd:"" help:"Add a key that takes over from those before it, which servers that run notice."`
}

type keyInitCommand struct {
	Path      string `arg:"" help:"The file to make. One that exists is left alone."`
	Algorithm string `enum:"HS256,EdDSA,ES256,RS256" default:"HS256" help:"HS256 for a secret that both tiers share; EdDSA, ES256 or RS256 for a key of which the API needs only the public half, by --keys-url (${default})."`
}

// Run makes the file; it never writes over one.
func (c *keyInitCommand) Run(streams program.Streams) error {
	if err := writeKeys(c.Path, c.Algorithm); err != nil {
		return exitError("", err)
	}
	who := "both servers with --keys-file, and to nobody else"
	if c.Algorithm != keyring.HS256 {
		who = "the authorization server alone with --keys-file; the API gets --keys-url"
	}
	fmt.Fprintf(streams.Out, "made %s: give it to %s\n", c.Path, who)
	return nil
}

type keyExportCommand struct {
	From string `arg:"" help:"The authorization server's JWK Set."`
	To   string `arg:"" help:"The file to make. One that exists is left alone."`
	API  string `name:"api" placeholder:"AUDIENCE" help:"The registered API that the file is for. By default the one of the servers' --audience, whose keys are tied to none."`
}

// Run writes the file; it never writes over one.
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
		return exitError("", fmt.Errorf("%s: %w", c.From, err))
	}
	if err := writeNew(c.To, data, 0o600); err != nil {
		return exitError("", err)
	}
	fmt.Fprintf(streams.Out, "made %s\n", c.To)
	return nil
}

// initCommand makes what a first start needs in a place where nobody is there to
// make it by hand, such as a set of containers.
type initCommand struct {
	KeysFile             string `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"File for a JWK Set with one new key, for its owner alone."`
	DatabasePasswordFile string `env:"HALLPASS_DATABASE_PASSWORD_FILE" placeholder:"PATH" help:"File for a random password for PostgreSQL, which everybody who reaches the file can read: the server of the database is another user."`
}

// Validate is called by kong before anything runs.
func (c *initCommand) Validate() error {
	if c.KeysFile == "" && c.DatabasePasswordFile == "" {
		return errors.New("set --keys-file (HALLPASS_KEYS_FILE), --database-password-file (HALLPASS_DATABASE_PASSWORD_FILE) or both")
	}
	return nil
}

// Run makes each file that is asked for and missing.
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
			fmt.Fprintf(streams.Out, "made %s\n", secret.path)
		case errors.Is(err, errKept):
			fmt.Fprintln(streams.Out, err)
		default:
			return err
		}
	}
	return nil
}

func writeKeys(path, algorithm string) error {
	data, err := keyring.Generate(algorithm, time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	return writeNew(path, data, 0o600)
}

func writePassword(path string) error {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	return writeNew(path, []byte(base64.RawURLEncoding.EncodeToString(raw)+"\n"), 0o644)
}

// writeNew makes a file with this content; errKept if it is there already.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", path, errKept)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a secret is worse than none
	}
	return nil
}
