package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// serveCommand runs the server.
type serveCommand struct {
	Settings server.Settings `embed:""`
}

// Validate is called by kong before anything runs.
func (c *serveCommand) Validate() error { return c.Settings.Validate() }

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, streams program.Streams) error {
	log := httpserver.NewLogger(streams.Err, c.Settings.HTTP)
	defer log.Close()
	slog.SetDefault(log.Logger)
	return server.Run(ctx, c.Settings, program.Version, log.Logger)
}

// migrateCommand brings the schema up to date.
type migrateCommand struct {
	server.Database `embed:""`
}

// Run migrates and prints the version of the schema.
func (c *migrateCommand) Run(ctx context.Context, streams program.Streams) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		version, err := s.Migrate(ctx)
		if err == nil {
			fmt.Fprintf(streams.Out, "schema version %d\n", version)
		}
		return err
	})
}

// withStore opens the database, runs work and closes the database.
func withStore(ctx context.Context, d server.Database, work func(*store.Store) error) error {
	s, err := server.OpenStore(ctx, d)
	if err != nil {
		return err
	}
	return errors.Join(work(s), s.Close())
}

// keyCommands are the commands about signing keys.
type keyCommands struct {
	Init keyInitCommand `cmd:"" help:"Make a JWK Set with one new key in a new file that only its owner can read."`
}

type keyInitCommand struct {
	Path string `arg:"" help:"The file to make. One that exists is left alone."`
}

// Run makes the file; it never writes over one.
func (c *keyInitCommand) Run(streams program.Streams) error {
	data, err := keyring.Generate(time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return program.WithCode(program.ExitConflict, fmt.Errorf("%s exists already: it is left as it is", c.Path))
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Path)) // half a file of keys is worse than none
	}
	fmt.Fprintf(streams.Out, "made %s: give it to both servers with --keys-file, and to nobody else\n", c.Path)
	return nil
}
