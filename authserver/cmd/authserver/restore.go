package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// restoreCommand puts a copy back, or is run after one was put back, and begins a new epoch. The flag
// says what is lost.
type restoreCommand struct {
	server.Database `embed:""`
	apiKeys         `embed:""`
	File            string   `arg:"" optional:"" help:"Copy of a SQLite database, made by 'authserver backup', to put back. Leave it out if the copy is already in place, for example after pg_restore."`
	Overwrite       bool     `help:"Replace the database, if there is one. Its contents are lost."`
	NewEpoch        bool     `help:"End all logins, forget all consents, and let new tokens refer to status lists that no earlier token refers to. FILE implies it."`
	KeysFile        string   `env:"HALLPASS_KEYS_FILE" placeholder:"PATH" help:"JWK Set of the authorization server, whose keys are replaced at once, as by 'key rotate --compromised'."`
	Also            []string `placeholder:"PATH" sep:"none" help:"JWK Set of an API that gets the new keys, as with 'key rotate'. Repeat for more."`
}

// Help explains when and why.
func (c *restoreCommand) Help() string {
	return `With FILE, it puts a copy in the place of the SQLite database of --database-url, while no server runs.
With PostgreSQL, run it with --new-epoch after pg_restore, before the servers start.

The copy does not know what happened after it was made: which logins were ended, and which were new.
Their numbers are used again. So all logins end, browser sessions and consents as well, and new tokens
refer to other status lists. The keys of --keys-file are replaced, so that APIs refuse all earlier tokens.
Users log in again. Services and apps need not be changed.

The copy also has the passwords, disabled users, client secrets and deleted users of its time.
Repeat what was changed since. A copy that has everything, from a server that was stopped first, needs none
of this.`
}

// Run puts the file back, begins the epoch and replaces the keys.
func (c *restoreCommand) Run(ctx context.Context, streams program.Streams) error {
	switch {
	case c.File == "" && c.Overwrite:
		return program.WithCode(program.ExitUsage, errors.New("--overwrite needs FILE, the copy to put back"))
	case c.File == "" && !c.NewEpoch:
		return program.WithCode(program.ExitUsage,
			errors.New("restore ends all logins: write 'authserver restore FILE', or for a copy that was put back "+
				"'authserver restore --new-epoch' (see 'authserver restore --help')"))
	}
	keys, err := c.prepareKeys()
	if err != nil {
		return unchanged(err)
	}
	if keys != nil {
		defer keys.Discard()
	}
	if c.File != "" {
		err = c.putBack(ctx, streams)
	} else {
		err = c.begin(ctx, streams, c.Database)
	}
	if err != nil {
		return exitError("", err)
	}
	return c.finish(ctx, streams, keys)
}

// prepareKeys prepares the rotation of the keys. It returns nil if no keys file is set.
func (c *restoreCommand) prepareKeys() (*keyfile.Prepared, error) {
	if c.KeysFile == "" {
		return nil, nil
	}
	return c.rotation().rotation().Prepare(time.Now())
}

// rotation is the command that replaces the keys.
func (c *restoreCommand) rotation() *keyRotateCommand {
	return &keyRotateCommand{apiKeys: c.apiKeys, Path: c.KeysFile, Also: c.Also, Compromised: true}
}

// begin begins an epoch in a database that is a copy.
func (c *restoreCommand) begin(ctx context.Context, streams program.Streams, d server.Database) error {
	s, err := server.OpenRestoredStore(ctx, d)
	if err != nil {
		return err
	}
	epoch := grant.NewEpoch()
	ended, err := startEpoch(ctx, s, epoch)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "epoch %s: started\n", epoch)
	fmt.Fprintf(streams.Err, "ended %s and all browser sessions and consents\n", describeLogins(ended))
	return nil
}

// finish replaces the keys and says what is left to do.
func (c *restoreCommand) finish(ctx context.Context, streams program.Streams, keys *keyfile.Prepared) error {
	if keys == nil {
		fmt.Fprint(streams.Err, "note: before the servers start, run 'authserver restore --new-epoch --keys-file KEYS', or "+
			"change HALLPASS_TOKEN_SECRET: only new keys end the tokens of an epoch that this copy does not know\n")
	} else if err := c.replaceKeys(ctx, streams, keys); err != nil {
		return fmt.Errorf("the database is restored, but not all keys are replaced: run 'authserver restore --new-epoch "+
			"--keys-file %s' before the servers start: %w", c.KeysFile, err)
	}
	fmt.Fprint(streams.Err, "note: repeat what was changed after the copy was made: users that were disabled or deleted, "+
		"passwords and client secrets\n"+
		"note: running servers use the new epoch within a second\n")
	return nil
}

// replaceKeys replaces the keys. The secrets of second factors can be read before and after, and if the files cannot be
// written: their key is first sealed with the new keys too, and what the previous keys open is deleted last.
func (c *restoreCommand) replaceKeys(ctx context.Context, streams program.Streams, keys *keyfile.Prepared) error {
	before, err := keyfile.ReadRing(c.KeysFile)
	if err != nil {
		return err
	}
	after, err := keyring.Parse(keys.Content())
	if err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		err := secondfactor.Reseal(ctx, s, before, after, time.Now())
		sealed := errors.Is(err, secondfactor.ErrSealed)
		if sealed {
			fmt.Fprintln(streams.Err, "note: the keys in "+c.KeysFile+" cannot read the secrets of second factors in this "+
				"copy: users log in with recovery codes, or 'authserver user set USERNAME --remove-second-factors' removes them")
		} else if err != nil {
			return err
		}
		if err := c.rotation().write(streams, keys); err != nil || sealed {
			return err
		}
		return secondfactor.Forget(ctx, s, after, time.Now())
	})
}

// startEpoch begins the epoch and returns how many logins that ended.
func startEpoch(ctx context.Context, s *store.Store, epoch string) (store.Logins, error) {
	now := time.Now()
	ended, err := s.CountLogins(ctx, store.LoginsOf{}, now)
	if err == nil {
		_, err = s.StartEpoch(ctx, epoch, now)
	}
	return ended, err
}
