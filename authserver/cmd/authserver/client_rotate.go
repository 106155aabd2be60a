package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Bounds of --keep-old.
const (
	minKeepOld = time.Minute
	maxKeepOld = 30 * 24 * time.Hour
)

type clientRotateCommand struct {
	clientTarget `embed:""`
	KeepOld      time.Duration `placeholder:"DURATION" help:"How long the old secret works beside the new one, so that the client can change without a gap: 1m to 720h. 'client end-old-secret' ends it earlier."`
	Revoke       bool          `help:"Also revoke all logins and tokens of the client, if the old secret has leaked."`
}

// Validate checks the flags. kong calls it before it looks for flags that are missing.
func (c *clientRotateCommand) Validate() error {
	switch {
	case c.KeepOld != 0 && c.Revoke:
		return errors.New("--revoke is for a secret that has leaked, so --keep-old must not keep it")
	case c.KeepOld != 0 && (c.KeepOld < minKeepOld || c.KeepOld > maxKeepOld):
		return fmt.Errorf("--keep-old must be from %v to %v, not %v", minKeepOld, maxKeepOld, c.KeepOld)
	}
	return c.Database.Validate()
}

// Run replaces the secret.
func (c *clientRotateCommand) Run(ctx context.Context, streams program.Streams) error {
	secret, digest, err := client.GenerateSecret(rand.Reader)
	if err != nil {
		return err
	}
	err = changeRecords(ctx, c.Database, func(s *store.Store) error {
		known, err := s.ClientByID(ctx, c.ID)
		switch {
		case err != nil:
			return err
		case known.Public():
			return fmt.Errorf("%w: %s is public and has no secret", client.ErrBad, c.ID)
		case c.KeepOld != 0 && !known.HasSecret():
			return fmt.Errorf("%w: %s has no secret that could be kept", client.ErrBad, c.ID)
		case c.Revoke:
			return endLoginsIn(ctx, streams.Err, s, store.LoginsOf{ClientID: c.ID}, func() error {
				return s.ReplaceClientSecret(ctx, c.ID, digest, time.Now())
			})
		}
		return c.replace(ctx, streams, s, digest)
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	return printSecret(streams, secret)
}

// replace replaces the secret and ends no login.
func (c *clientRotateCommand) replace(
	ctx context.Context,
	streams program.Streams,
	s *store.Store,
	digest string,
) error {
	if c.KeepOld == 0 {
		if err := s.SetClientSecret(ctx, c.ID, digest); err != nil {
			return err
		}
	} else {
		until := time.Now().Add(c.KeepOld)
		if err := s.AddClientSecret(ctx, c.ID, digest, until); err != nil {
			return err
		}
		fmt.Fprintf(streams.Err, "the old secret works until %s, or until 'client end-old-secret %s'\n",
			formatTime(&until), c.ID)
	}
	fmt.Fprintln(streams.Err, "ended 0 logins: they and all tokens stay valid without --revoke")
	return nil
}

type clientEndOldCommand struct {
	clientTarget `embed:""`
}

// Run ends the secret before the current one.
func (c *clientEndOldCommand) Run(ctx context.Context, streams program.Streams) error {
	err := changeRecords(ctx, c.Database, func(s *store.Store) error {
		return s.EndOldClientSecret(ctx, c.ID)
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "client %s: only the current secret works\n", c.ID)
	}
	return exitError(c.ID, err)
}
