package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// serveCommand runs the server.
type serveCommand struct {
	Settings server.Settings `embed:""`
}

// Validate checks the settings. kong calls it before Run.
func (c *serveCommand) Validate() error { return c.Settings.Validate() }

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, streams program.Streams, misspelt program.Misspellings) error {
	log := httpserver.NewLogger(streams.Err, c.Settings.HTTP)
	slog.SetDefault(log)
	misspelt.Warn(ctx, log)
	ctx = audit.WithActor(ctx, audit.Actor{Kind: audit.Server})
	return server.Run(ctx, c.Settings, program.Version, log)
}

// migrateCommand updates the schema of the database.
type migrateCommand struct {
	server.Database `embed:""`
}

// Run migrates and prints the version of the schema.
func (c *migrateCommand) Run(ctx context.Context, streams program.Streams) error {
	s, err := server.OpenStore(ctx, c.Database)
	if err != nil {
		return err
	}
	version, err := s.Schema(ctx)
	if err == nil {
		fmt.Fprintf(streams.Out, "schema version %d\n", version)
	}
	return errors.Join(err, s.Close())
}

// withStore opens the database, which must exist, runs work and closes it.
func withStore(ctx context.Context, d server.Database, work func(*store.Store) error) error {
	s, err := server.OpenExistingStore(ctx, d)
	if err != nil {
		return err
	}
	return errors.Join(work(s), s.Close())
}
