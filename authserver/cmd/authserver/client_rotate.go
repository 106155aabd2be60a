package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
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
	case c.KeepOld != 0 && (c.KeepOld < admin.MinKeepOld || c.KeepOld > admin.MaxKeepOld):
		return fmt.Errorf("--keep-old must be from %v to %v, not %v", admin.MinKeepOld, admin.MaxKeepOld, c.KeepOld)
	}
	return c.Database.Validate()
}

// Run replaces the secret.
func (c *clientRotateCommand) Run(ctx context.Context, streams program.Streams) error {
	var rotated admin.Rotated
	err := changeRecords(ctx, c.Database, func(s *admin.Service) (err error) {
		how := admin.RotateSecret{KeepOld: c.KeepOld, Revoke: c.Revoke}
		if rotated, err = s.RotateClientSecret(ctx, c.ID, how, nil); err != nil {
			return err
		}
		c.report(streams, rotated)
		return nil
	})
	if err != nil {
		return exitError(c.ID, err)
	}
	return printSecret(streams, rotated.Secret)
}

// report says what was ended.
func (c *clientRotateCommand) report(streams program.Streams, r admin.Rotated) {
	if c.Revoke {
		printEnded(streams.Err, r.Ended)
		return
	}
	if c.KeepOld != 0 {
		fmt.Fprintf(streams.Err, "the old secret works until %s, or until 'client end-old-secret %s'\n",
			formatTime(&r.OldUntil), c.ID)
	}
	fmt.Fprintln(streams.Err, "ended 0 logins: they and all tokens stay valid without --revoke")
}

type clientEndOldCommand struct {
	clientTarget `embed:""`
}

// Run ends the secret before the current one.
func (c *clientEndOldCommand) Run(ctx context.Context, streams program.Streams) error {
	err := changeRecords(ctx, c.Database, func(s *admin.Service) error {
		return s.EndOldClientSecret(ctx, c.ID)
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "client %s: only the current secret works\n", c.ID)
	}
	return exitError(c.ID, err)
}
