package main

import (
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
)

// userSetCommand changes the fields that are not nil.
type userSetCommand struct {
	userTarget          `embed:""`
	Name                *string  `placeholder:"NAME" help:"Display name."`
	Email               *string  `placeholder:"ADDRESS" help:"Email address, which is not verified until --email-verified says so. An empty one removes it."`
	Verified            *bool    `name:"email-verified" negatable:"" help:"Whether somebody has checked that the email address is the user's."`
	VerifyEmail         bool     `help:"Send an email with a link to verify the email address."`
	Group               []string `placeholder:"NAME" sep:"none" help:"Group that the user is in, instead of all current ones. Repeat for more; a single empty one removes all."`
	AddGroup            []string `placeholder:"NAME" sep:"none" help:"Group to add to the current ones. Repeat for more."`
	RemoveSecondFactors bool     `help:"Remove all second factors and recovery codes of the user, who has lost them. All logins of the user end, and the user gets an email."`
	EnrolLink           bool     `help:"Print a new link with which the user, an administrator without a second factor, adds the first one."`
	Issuer              string   `env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The authorization server, for the link (${default})."`
	RemoveGroup         []string `placeholder:"NAME" sep:"none" help:"Group to remove from the current ones. Repeat for more."`
}

// Help explains when clients see the change.
func (c *userSetCommand) Help() string {
	return `Settings that are not given keep their value, and so do the password and, unless second factors are removed,
all logins. Clients see a change in the next token and at the userinfo endpoint. Access tokens keep their groups until
they expire.

Users in the group admins administer the server, if it runs with --admin-console. One who has no second factor adds the
first one with a link, which the command prints.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userSetCommand) Validate() error {
	if c.Group != nil && (c.AddGroup != nil || c.RemoveGroup != nil) {
		return errors.New("--group replaces all groups: give either --group, or --add-group and --remove-group")
	}
	if c.VerifyEmail && c.Verified != nil && *c.Verified {
		return errors.New("--verify-email is for an address that is not verified: leave out --email-verified")
	}
	if !c.changes() && !c.VerifyEmail && !c.RemoveSecondFactors && !c.EnrolLink {
		return errors.New("nothing to change: give --name, --email, --[no-]email-verified, --verify-email, --group, " +
			"--add-group, --remove-group, --remove-second-factors or --enrol-link")
	}
	return c.Database.Validate()
}

// changes reports whether a flag changes the user.
func (c *userSetCommand) changes() bool {
	return c.Name != nil || c.Email != nil || c.Verified != nil ||
		c.Group != nil || c.AddGroup != nil || c.RemoveGroup != nil
}

// Run changes the user.
func (c *userSetCommand) Run(ctx context.Context, streams program.Streams) error {
	if c.RemoveSecondFactors {
		if err := c.removeSecondFactors(ctx, streams); err != nil || !c.changes() && !c.VerifyEmail && !c.EnrolLink {
			return err
		}
	}
	done := "changed"
	switch {
	case c.VerifyEmail:
		done = "a server with a mail server sends an email with a link"
	case !c.changes():
		done = "gets a new link"
	}
	link, note := "", ""
	err := c.do(ctx, streams, done, func(s *admin.Service) (err error) {
		link, note, err = c.change(ctx, s)
		return err
	})
	fmt.Fprint(streams.Err, note)
	if link != "" {
		printEnrolLink(streams, c.Issuer, c.Username, link)
	}
	return err
}

// removeSecondFactors removes the user's second factors. It says so if there was none.
func (c *userSetCommand) removeSecondFactors(ctx context.Context, streams program.Streams) error {
	removed := int64(0)
	err := c.do(ctx, streams, "has no second factor now; all logins have ended", func(s *admin.Service) (err error) {
		removed, err = s.RemoveSecondFactors(ctx, c.Username)
		return err
	})
	if err == nil && removed == 0 {
		fmt.Fprintln(streams.Err, "note: the user had none")
	}
	return err
}

// change changes the user. It returns the secret of a link if the user needs one, a new administrator without a second
// factor, and what to think of before a new administrator works. The note comes with an error, too, if the user was
// changed before it.
func (c *userSetCommand) change(ctx context.Context, s *admin.Service) (link, note string, err error) {
	if c.changes() || c.VerifyEmail {
		var was account.User
		u, err := s.ChangeUser(ctx, c.Username, c.patch(), func(current account.User) bool { was = current; return true })
		if errors.Is(err, admin.ErrNotInGroup) {
			return "", "", program.WithCode(program.ExitUsage, err)
		}
		if err != nil || !c.EnrolLink && !c.promotes() {
			return "", "", err
		}
		hasFactor, err := s.Store.HasSecondFactor(ctx, u.ID)
		if err != nil {
			return "", "", err
		}
		note = promotionNote(was, u, hasFactor)
		if (hasFactor || !u.Administers()) && !c.EnrolLink {
			return "", note, nil
		}
	}
	link, err = s.EnrolLink(ctx, c.Username)
	if errors.Is(err, admin.ErrNoEnrolment) {
		err = program.WithCode(program.ExitUsage, err)
	}
	return link, note, err
}

// promotes reports whether the command line makes the user an administrator.
func (c *userSetCommand) promotes() bool {
	return slices.Contains(c.Group, account.AdminGroup) || slices.Contains(c.AddGroup, account.AdminGroup)
}

// promotionNote returns what to know of a member of the group of administrators who does not need a link; empty for
// others. It tells of a second factor only if the user was not in the group before.
func promotionNote(was, is account.User, hasFactor bool) string {
	note := ""
	switch {
	case !slices.Contains(is.Groups, account.AdminGroup):
		return ""
	case is.Demo:
		return "note: users of the demo never administer the server: everybody knows their passwords\n"
	case !is.Active():
		note = "note: the user is disabled, and administers the server once 'user enable' is run\n"
	}
	if !hasFactor || slices.Contains(was.Groups, account.AdminGroup) {
		return note
	}
	return note + "note: the user has a second factor already, and administers the server with it. Make sure that it is " +
		"the user's own: somebody who knew the password could have added it. If you are not sure, run 'authserver user set " +
		"NAME --remove-second-factors --enrol-link'\n"
}

// patch returns what the command line changes.
func (c *userSetCommand) patch() admin.UserPatch {
	p := admin.UserPatch{
		Name: c.Name, Email: c.Email, EmailVerified: c.Verified, VerifyEmail: c.VerifyEmail,
		AddGroups: c.AddGroup, RemoveGroups: c.RemoveGroup,
	}
	if c.Group != nil {
		groups := replaced(c.Group)
		p.Groups = &groups
	}
	return p
}

// printEnrolLink prints the link by which an administrator adds the first second factor.
func printEnrolLink(streams program.Streams, issuer, username, link string) {
	fmt.Fprintf(streams.Err, "note: administrators need a second factor. %s adds it by this link, which works once, "+
		"within %d minutes, at a server with --admin-console:\n", username, account.LinkLifetime/time.Minute)
	fmt.Fprintln(streams.Out, mail.LinkURL(strings.TrimSuffix(issuer, "/"), account.EnrolPath, link))
}
