package main

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// longestUse is how long a server may use a client or an API as it was before: from a replica of the database, kept in
// memory, and read in the time that is left.
const longestUse = store.ReplicaAge + issuing.CacheTime + 50*time.Millisecond

// waitForServers waits until no server uses a client or an API as it was before. Tests replace it.
var waitForServers = func(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(longestUse):
	}
}

// changeRecords is withAdmin for work that changes a client or an API. It returns when the change is in
// force on every server.
func changeRecords(ctx context.Context, d server.Database, work func(*admin.Service) error) error {
	err := withAdmin(ctx, d, work)
	if err == nil {
		waitForServers(ctx)
	}
	return err
}
