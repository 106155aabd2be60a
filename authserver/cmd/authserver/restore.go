package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// restoreCommand begins a new epoch. The flag says what is lost.
type restoreCommand struct {
	server.Database `embed:""`
	NewEpoch        bool `help:"End all logins, forget all consents, and let new tokens refer to status lists that no earlier token refers to."`
}

// Help explains when and why.
func (c *restoreCommand) Help() string {
	return `Run it once after an older copy of the database was put back, before the servers start.

The copy does not know what happened after it was made: which logins were ended, and which were new.
Their numbers are used again. So all logins end, browser sessions and consents as well, and new tokens
refer to other status lists. Users log in again. Services and apps need not be changed.

The copy also has the passwords, disabled users, client secrets and deleted users of its time.
Repeat what was changed since, and replace the keys: 'authserver key rotate --compromised'.
A copy that has everything, from a server that was stopped first, needs none of this.`
}

// Run begins the epoch.
func (c *restoreCommand) Run(ctx context.Context, streams program.Streams) error {
	if !c.NewEpoch {
		return program.WithCode(program.ExitUsage,
			errors.New("restore ends all logins: write 'authserver restore --new-epoch' (see 'authserver restore --help')"))
	}
	s, err := server.OpenRestoredStore(ctx, c.Database)
	if err != nil {
		return err
	}
	epoch := grant.NewEpoch()
	ended, err := startEpoch(ctx, s, epoch)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	fmt.Fprintf(streams.Out, "epoch %s: started\n", epoch)
	fmt.Fprintf(streams.Err, "ended %s and all browser sessions and consents\n"+
		"note: repeat what was changed after the copy was made: users that were disabled or deleted, passwords and "+
		"client secrets\n"+
		"note: run 'authserver key rotate --compromised KEYS' before the servers start: it also ends tokens of an epoch "+
		"that this copy does not know\n"+
		"note: running servers use the new epoch within a second\n", describeLogins(ended))
	return nil
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
