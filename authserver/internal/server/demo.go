package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// demoClient is the id of the client that --demo makes.
const demoClient = "demo"

// demoUsers are those of the FastAPI tutorial that Hallpass grew from. Their passwords are in
// the README.
var demoUsers = []struct{ username, password, name string }{
	{"john.doe", "securepassword", "John Doe"},
	{"jane.smith", "anothersecurepass", "Jane Smith"},
}

// demoScope is what the resource server in this repository needs.
var demoScope = oauth.Scope{"profile", "items:read"}

// demoDescription describes the scope that the authorization server gives no meaning to.
var demoDescription = resource.ScopeDescription{Scope: "items:read", Text: "See your items"}

// seedDemo makes the demo users and the demo client if the database has no users and no clients.
// Two servers may do so at once: the second finds what it would have made.
func seedDemo(ctx context.Context, data *store.Store, hasher *account.Hasher, now time.Time, log *slog.Logger) error {
	empty, err := isEmpty(ctx, data)
	if err != nil {
		return err
	}
	if !empty {
		log.InfoContext(ctx, "demo: the database is in use already, nothing is added to it")
		return nil
	}
	c := client.Client{
		ID: demoClient, Name: "Demo", Grants: []oauth.GrantType{oauth.GrantPassword, oauth.GrantRefreshToken},
		Scope: demoScope, FirstParty: true, CreatedAt: now,
	}
	if err := data.CreateClient(ctx, c); err != nil && !errors.Is(err, record.ErrExists) {
		return err
	}
	if err := data.DescribeScope(ctx, demoDescription); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx) // each hash takes a quarter of a second
	for _, u := range demoUsers {
		group.Go(func() error {
			hash, err := hasher.Hash(u.password)
			if err != nil {
				return err
			}
			user, err := account.New(u.username, u.name, hash, now)
			if err != nil {
				return err
			}
			if err := data.CreateUser(ctx, user); !errors.Is(err, record.ErrExists) {
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	log.WarnContext(ctx, "demo: users with well-known passwords are in this database: do not use it for anything real")
	return nil
}

func isEmpty(ctx context.Context, data *store.Store) (bool, error) {
	users, err := data.Users(ctx)
	if err != nil {
		return false, err
	}
	clients, err := data.Clients(ctx)
	return len(users) == 0 && len(clients) == 0, err
}
