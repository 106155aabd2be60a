package main

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// readMargin is how much longer a command waits for the servers than they keep a record: the time
// that reading may take.
const readMargin = 50 * time.Millisecond

// waitForServers waits until no server uses a client or an API as it was before. Tests replace it.
var waitForServers = func(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(issuing.CacheTime + readMargin):
	}
}

// changeRecords is withStore for work that changes a client or an API. It returns when the change is in
// force on every server.
func changeRecords(ctx context.Context, d server.Database, work func(*store.Store) error) error {
	err := withStore(ctx, d, work)
	if err == nil {
		waitForServers(ctx)
	}
	return err
}
