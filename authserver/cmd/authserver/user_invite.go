package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// userInviteCommand invites somebody.
type userInviteCommand struct {
	server.Database `embed:""`
	Email           string   `arg:"" help:"Email address of the person."`
	Name            string   `placeholder:"NAME" help:"Display name that the page suggests."`
	Group           []string `placeholder:"NAME" sep:"none" help:"Group that the user will be in. Repeat for more."`
	Print           bool     `help:"Print the link in place of sending a mail."`
	Withdraw        bool     `help:"Withdraw the invitation of this address."`
	Issuer          string   `env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The authorization server, for --print (${default})."`
}

// Help explains what follows.
func (c *userInviteCommand) Help() string {
	return `The server must run with --signup=invitation or open. It sends a mail with a link, which works once, within
7 days. A second invitation of an address replaces the name and the groups of the first.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userInviteCommand) Validate() error {
	if c.Withdraw && (c.Print || c.Name != "" || c.Group != nil) {
		return errors.New("--withdraw takes no other flags")
	}
	return c.Database.Validate()
}

// Run makes or withdraws the invitation.
func (c *userInviteCommand) Run(ctx context.Context, streams program.Streams) error {
	i, err := c.invitation(time.Now())
	if err != nil {
		return exitError(c.Email, err)
	}
	done := i.Email + ": invited: a server with a mail server sends a mail with a link"
	err = withStore(ctx, c.Database, func(s *store.Store) error {
		switch {
		case c.Withdraw:
			done = i.Email + ": invitation withdrawn"
			return s.Withdraw(ctx, i.Email, i.CreatedAt)
		case c.Print:
			done, err = c.printed(ctx, s, i)
			return err
		}
		return s.Invite(ctx, i, &mail.Request{Kind: mail.Invitation, Typed: i.Email, CreatedAt: i.CreatedAt})
	})
	if err == nil {
		fmt.Fprintln(streams.Out, done)
	}
	return exitError(i.Email, err)
}

// invitation returns the invitation that the flags describe, or why they are not valid.
func (c *userInviteCommand) invitation(now time.Time) (account.Invitation, error) {
	email, err := account.PrepareOwnEmail(c.Email)
	if err != nil {
		return account.Invitation{}, err
	}
	user, err := account.User{Name: cmp.Or(c.Name, "nobody yet"), Email: email, Groups: c.Group}.PrepareIdentity()
	if err != nil {
		return account.Invitation{}, err
	}
	return account.Invitation{
		Email: email, Name: c.Name, Groups: user.Groups, CreatedAt: now, ExpiresAt: now.Add(account.InvitationLifetime),
	}, nil
}

// printed stores the invitation with a link, and returns the link.
func (c *userInviteCommand) printed(ctx context.Context, s *store.Store, i account.Invitation) (string, error) {
	text, err := secret.New(rand.Reader, "")
	if err != nil {
		return "", err
	}
	if err := s.Invite(ctx, i, nil); err != nil {
		return "", err
	}
	err = s.CreateSignUpLink(ctx, account.SignUpLink{
		Digest: secret.Digest(text), Email: i.Email, CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt,
	})
	return mail.LinkURL(strings.TrimSuffix(c.Issuer, "/"), mail.SignUpPath, text), err
}

// invitationsCommand lists the invitations.
type invitationsCommand struct {
	server.Database `embed:""`
	pageFlags       `embed:""`
}

// Validate checks the flags. kong calls it before Run.
func (c *invitationsCommand) Validate() error {
	return cmp.Or(c.Database.Validate(), c.pageFlags.Validate())
}

// shownInvitation is an invitation as it is printed.
type shownInvitation struct {
	Email     string    `json:"email"`
	Name      string    `json:"name,omitempty"`
	Groups    []string  `json:"groups,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Run lists the invitations.
func (c *invitationsCommand) Run(ctx context.Context, streams program.Streams) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		now := time.Now()
		read := func(page record.Page) ([]account.Invitation, error) { return s.Invitations(ctx, now, page) }
		out := newListPrinter(streams.Out, c.JSON, []any{"EMAIL", "NAME", "GROUPS", "EXPIRES"})
		return printPages(c.pageFlags, out, read, func(i account.Invitation) (key string, shown any, row []any) {
			return i.Email, shownInvitation(i), []any{i.Email, i.Name, strings.Join(i.Groups, " "), formatTime(&i.ExpiresAt)}
		})
	})
}
