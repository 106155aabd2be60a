package main

import (
	"cmp"
	"context"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// consentCommands are the commands that manage what users have allowed clients.
type consentCommands struct {
	List   consentListCommand   `cmd:"" help:"List what a user has allowed."`
	Revoke consentRevokeCommand `cmd:"" help:"Delete a user's consent to a client and revoke the client's access."`
}

type consentListCommand struct {
	userTarget `embed:""`
	JSON       bool `help:"Print JSON."`
}

// shownConsent is a consent as the command prints it.
type shownConsent struct {
	Client    string    `json:"client_id"`
	Audience  string    `json:"audience,omitempty"` // empty for the default API before a server has registered it
	Scope     string    `json:"scope"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showConsent(given store.Consent) shownConsent {
	return shownConsent{given.ClientID, given.Audience, given.Scope.String(), given.UpdatedAt}
}

// Run lists the consents.
func (c *consentListCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		user, err := c.find(ctx, s)
		if err != nil {
			return err
		}
		consents, err := administration(s).Consents(ctx, user.Username)
		if err != nil {
			return err
		}
		header := []any{"CLIENT", "API", "SCOPE", "SINCE"}
		return printList(streams.Out, c.JSON, each(consents, showConsent), header, func(v shownConsent) []any {
			return []any{v.Client, cmp.Or(v.Audience, "-"), v.Scope, formatTime(&v.UpdatedAt)}
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
	return c.do(ctx, streams, "consent to "+c.ClientID+" revoked", func(s *admin.Service) error {
		ended, err := s.RevokeConsent(ctx, c.Username, c.ClientID)
		if err == nil {
			printEnded(streams.Err, ended)
		}
		return err
	})
}
