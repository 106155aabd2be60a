package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// consentCommands are the commands about what users have allowed clients.
type consentCommands struct {
	List   consentListCommand   `cmd:"" help:"List what a user has allowed which client."`
	Revoke consentRevokeCommand `cmd:"" help:"Forget what a user has allowed a client, and end the client's access."`
}

type consentListCommand struct {
	userTarget `embed:""`
	JSON       bool `help:"Print JSON."`
}

// shownConsent is a consent as list prints it.
type shownConsent struct {
	Client    string    `json:"client_id"`
	Audience  string    `json:"audience,omitempty"` // none: the default API, before a server has registered it
	Scope     string    `json:"scope"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showConsent(given store.Consent) shownConsent {
	return shownConsent{given.ClientID, given.Audience, given.Scope.String(), given.UpdatedAt}
}

// Run lists the consents.
func (c *consentListCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		user, err := s.UserByUsername(ctx, c.Username)
		if err != nil {
			return err
		}
		consents, err := s.Consents(ctx, user.ID)
		if err != nil {
			return err
		}
		return printList(streams.Out, c.JSON, each(consents, showConsent), []any{"CLIENT", "API", "SCOPE", "SINCE"}, func(v shownConsent) []any {
			return []any{v.Client, cmp.Or(v.Audience, "-"), v.Scope, when(&v.UpdatedAt)}
		})
	})
	return exitError(c.Username, err)
}

type consentRevokeCommand struct {
	userTarget `embed:""`
	ClientID   string `arg:"" name:"client" help:"The client's id."`
}

// Run revokes the consent.
func (c *consentRevokeCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.do(ctx, streams, "consent to "+c.ClientID+" revoked", func(s *store.Store) error {
		user, err := s.UserByUsername(ctx, c.Username)
		if err != nil {
			return err
		}
		err = s.RevokeConsent(ctx, user.ID, c.ClientID, time.Now())
		if errors.Is(err, store.ErrNoConsent) {
			return fmt.Errorf("%w to %s", err, c.ClientID)
		}
		return err
	})
}
