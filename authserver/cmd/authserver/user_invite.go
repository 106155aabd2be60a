package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
)

// userInviteCommand invites somebody.
type userInviteCommand struct {
	server.Database `embed:""`
	Email           string   `arg:"" help:"Email address of the person."`
	Name            string   `placeholder:"NAME" help:"Display name that the sign-up page suggests."`
	Group           []string `placeholder:"NAME" sep:"none" help:"Group that the user will be in. Repeat for more."`
	Print           bool     `help:"Print the link instead of sending an email."`
	Withdraw        bool     `help:"Withdraw the invitation to this address."`
	Issuer          string   `env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The authorization server, for --print (${default})."`
}

// Help explains what follows.
func (c *userInviteCommand) Help() string {
	return `The server must run with --signup=invitation or open. It sends an email with a link, which works once, within
7 days. A second invitation to an address replaces the name and the groups of the first.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userInviteCommand) Validate() error {
	if c.Withdraw && (c.Print || c.Name != "" || c.Group != nil) {
		return errors.New("--withdraw cannot be used with --print, --name or --group")
	}
	return c.Database.Validate()
}

// Run makes or withdraws the invitation.
func (c *userInviteCommand) Run(ctx context.Context, streams program.Streams) error {
	n := admin.NewInvitation{Email: c.Email, Name: c.Name, Groups: c.Group}
	i, err := n.Prepare(time.Now())
	if err != nil {
		return exitError(c.Email, err)
	}
	done := i.Email + ": invited: a server with a mail server sends an email with a link"
	err = withAdmin(ctx, c.Database, func(s *admin.Service) (err error) {
		switch {
		case c.Withdraw:
			done = i.Email + ": invitation withdrawn"
			return s.Withdraw(ctx, i.Email)
		case c.Print:
			var link string
			link, err = s.InviteByLink(ctx, n)
			done = mail.LinkURL(strings.TrimSuffix(c.Issuer, "/"), mail.SignUpPath, link)
			return err
		}
		_, err = s.Invite(ctx, n)
		return err
	})
	if err == nil {
		fmt.Fprintln(streams.Out, done)
	}
	if err == nil && !c.Withdraw && slices.Contains(i.Groups, account.AdminGroup) {
		fmt.Fprintln(streams.Err, "note: administrators need a second factor: once there is an account, 'authserver user "+
			"set NAME --enrol-link' prints the link that adds it")
	}
	return exitError(i.Email, err)
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
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		read := func(page record.Page) ([]account.Invitation, error) { return s.Invitations(ctx, page) }
		out := newListPrinter(streams.Out, c.JSON, []any{"EMAIL", "NAME", "GROUPS", "EXPIRES"})
		return printPages(c.pageFlags, out, read, func(i account.Invitation) (key string, shown any, row []any) {
			return i.Email, shownInvitation(i), []any{i.Email, i.Name, strings.Join(i.Groups, " "), formatTime(&i.ExpiresAt)}
		})
	})
}
