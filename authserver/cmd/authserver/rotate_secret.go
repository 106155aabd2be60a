package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/kubesecret"
)

// secretEntry is the entry of a Secret that has a JWK Set.
const secretEntry = "keys.json"

// accountFolder has the credentials of the pod's service account; empty for that of Kubernetes. Tests set it.
var accountFolder = ""

type keyRotateSecretCommand struct {
	Secret     string         `arg:"" help:"Secret of the authorization server."`
	APISecret  string         `name:"api-secret" placeholder:"NAME" help:"Secret of the default API, if it has a file with its shared secret."`
	IDTokens   bool           `name:"id-tokens" help:"Rotate the key that signs ID tokens, which no API has."`
	SignsAfter *time.Duration `help:"Time until the new key signs, as for 'key rotate'. Kubernetes takes up to two minutes to bring a Secret to a pod."`
	Lifetime   time.Duration  `name:"access-token-lifetime" env:"HALLPASS_ACCESS_TOKEN_LIFETIME" default:"30m" help:"Lifetime of access tokens, as set for serve (${default})."`
}

// Help says what the command needs.
func (c *keyRotateSecretCommand) Help() string {
	return `It is for a Kubernetes CronJob, whose service account may get and patch these Secrets. The keys are in
their entry keys.json. It does what 'key rotate' does to files: the API's Secret gets the new key first.
It refuses to overwrite a change that somebody else made meanwhile.`
}

// Validate checks the flags. kong calls it before Run.
func (c *keyRotateSecretCommand) Validate() error {
	switch {
	case c.APISecret != "" && c.APISecret == c.Secret:
		return errors.New("--api-secret must name another Secret: the API must not have private keys")
	case c.APISecret != "" && c.IDTokens:
		return errors.New("--id-tokens is about keys that no API has: leave out --api-secret")
	}
	return c.files("").Validate()
}

// files is the command that does the same to files in a folder.
func (c *keyRotateSecretCommand) files(folder string) *keyRotateCommand {
	return &keyRotateCommand{
		Path: filepath.Join(folder, secretEntry), IDTokens: c.IDTokens, SignsAfter: c.SignsAfter, Lifetime: c.Lifetime,
	}
}

// Run copies the Secrets to files, prepares the rotation of those, and writes to the Secrets what it would write to the
// files. The folder should be in memory.
func (c *keyRotateSecretCommand) Run(ctx context.Context, streams program.Streams) (err error) {
	client, err := kubesecret.InPod(os.Getenv, accountFolder)
	if err != nil {
		return exitError("", err)
	}
	folder, err := os.MkdirTemp("", "hallpass-keys-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return err
	}
	files := map[string]*secretFile{}
	add := func(name, path string) error {
		files[path] = &secretFile{client: client, name: name, path: path}
		return files[path].read(ctx)
	}
	command := c.files(folder)
	if c.APISecret != "" {
		err = add(c.APISecret, apiKeys{}.path(command.Path))
	}
	if err == nil {
		err = add(c.Secret, command.Path)
	}
	if err != nil {
		return unchanged(err)
	}
	p, err := command.rotation().Prepare(time.Now())
	if err != nil {
		return unchanged(err)
	}
	defer p.Discard()
	for _, step := range p.Steps() {
		file := files[step.Path]
		if err := file.client.Set(ctx, file.secret, secretEntry, step.Content); err != nil {
			return step.Explain(err)
		}
		if step.Last {
			fmt.Fprintf(streams.Out, "Secret %s: rotated\n", file.name)
		}
	}
	command.report(streams, p)
	return nil
}

// secretFile is a Secret and the file that its entry is copied to.
type secretFile struct {
	client *kubesecret.Client
	name   string
	path   string
	secret *kubesecret.Secret // set by read
}

// read copies the Secret to the file.
func (f *secretFile) read(ctx context.Context) (err error) {
	if f.secret, err = f.client.Get(ctx, f.name); err != nil {
		return err
	}
	keys, err := f.secret.Entry(secretEntry)
	if err != nil {
		return err
	}
	return os.WriteFile(f.path, keys, 0o600)
}
