package main

import (
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// administration returns the service by which commands administer a database. They do not know whether the servers
// send mails, and may remove the last administrator, since they can make another one.
func administration(s *store.Store) *admin.Service {
	return &admin.Service{Store: s, Now: time.Now, Mails: true, Invites: true, AllowLockout: true}
}

// withAdmin opens the database, which must exist, and runs work on what administers it.
func withAdmin(ctx context.Context, d server.Database, work func(*admin.Service) error) error {
	return withStore(ctx, d, func(s *store.Store) error { return work(administration(s)) })
}
