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
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// userSetCommand changes the fields that are not nil.
type userSetCommand struct {
	userTarget          `embed:""`
	Name                *string  `placeholder:"NAME" help:"Display name."`
	Email               *string  `placeholder:"ADDRESS" help:"Email address, which is not verified until --email-verified says so. An empty one removes it."`
	Verified            *bool    `name:"email-verified" negatable:"" help:"Whether somebody has checked that the email address is the user's."`
	VerifyEmail         bool     `help:"Send a mail with a link by which the user verifies the email address."`
	Group               []string `placeholder:"NAME" sep:"none" help:"Group that the user is in, in place of all current ones. Repeat for more; a single empty one removes all."`
	AddGroup            []string `placeholder:"NAME" sep:"none" help:"Group to add to the current ones. Repeat for more."`
	RemoveSecondFactors bool     `help:"Remove all second factors and recovery codes of the user, who has lost them. All logins of the user end, and the user gets a mail."`
	RemoveGroup         []string `placeholder:"NAME" sep:"none" help:"Group to remove from the current ones. Repeat for more."`
}

// Help explains when clients see the change.
func (c *userSetCommand) Help() string {
	return `Settings that are not given keep their value, and so do the password and, unless second factors are removed,
all logins. Clients see a change in the next token and at the userinfo endpoint. Access tokens keep their groups until
they expire.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userSetCommand) Validate() error {
	if c.Group != nil && (c.AddGroup != nil || c.RemoveGroup != nil) {
		return errors.New("--group replaces all groups: give either --group, or --add-group and --remove-group")
	}
	if c.VerifyEmail && c.Verified != nil && *c.Verified {
		return errors.New("--verify-email sends a mail about an address that is not verified: leave out --email-verified")
	}
	if !c.changes() && !c.VerifyEmail && !c.RemoveSecondFactors {
		return errors.New("nothing to change: give --name, --email, --[no-]email-verified, --verify-email, --group, " +
			"--add-group, --remove-group or --remove-second-factors")
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
		if err := c.removeSecondFactors(ctx, streams); err != nil || !c.changes() && !c.VerifyEmail {
			return err
		}
	}
	if !c.VerifyEmail {
		return c.do(ctx, streams, "changed", func(s *store.Store) error {
			_, err := s.UpdateUser(ctx, c.Username, time.Now(), c.change)
			return err
		})
	}
	return c.do(ctx, streams, "a server with a mail server sends a mail with a link", func(s *store.Store) error {
		return c.verify(ctx, s)
	})
}

// removeSecondFactors removes the user's second factors. It says so if there was none.
func (c *userSetCommand) removeSecondFactors(ctx context.Context, streams program.Streams) error {
	removed := int64(0)
	err := c.do(ctx, streams, "has no second factor now; all logins have ended", func(s *store.Store) (err error) {
		removed, err = s.RemoveSecondFactors(ctx, c.Username, time.Now())
		return err
	})
	if err == nil && removed == 0 {
		fmt.Fprintln(streams.Err, "note: the user had none")
	}
	return err
}

// verify changes the user and asks for a mail with a link. It changes nothing if there is no address to verify.
func (c *userSetCommand) verify(ctx context.Context, s *store.Store) error {
	var m mail.Request
	change := func(u account.User) (account.User, error) {
		u, err := c.change(u)
		if err == nil {
			m, err = emailcheck.VerifyRequest(u, time.Now())
		}
		return u, err
	}
	u, err := s.UserByUsername(ctx, c.Username)
	if err == nil && c.changes() {
		_, err = s.UpdateUser(ctx, c.Username, time.Now(), change)
	} else if err == nil {
		_, err = change(u)
	}
	if err != nil {
		return err
	}
	return s.AddMails(ctx, m)
}

// change returns the changed user, or why it is not valid.
func (c *userSetCommand) change(u account.User) (account.User, error) {
	if c.Name != nil {
		u.Name = *c.Name
	}
	if c.Email != nil {
		u.Email, u.EmailVerified = *c.Email, false
	}
	if c.Verified != nil {
		u.EmailVerified = *c.Verified
	}
	var err error
	if u.Groups, err = c.groups(u.Groups); err != nil {
		return account.User{}, err
	}
	return u.PrepareIdentity()
}

// groups returns the groups of a user who is in the current ones.
func (c *userSetCommand) groups(current []string) ([]string, error) {
	if c.Group != nil {
		if slices.Equal(c.Group, []string{""}) {
			return nil, nil
		}
		return c.Group, nil
	}
	for _, name := range c.RemoveGroup {
		if !slices.Contains(current, name) {
			return nil, program.WithCode(program.ExitUsage, fmt.Errorf("the user is not in the group %s: the groups are %s",
				name, cmp.Or(strings.Join(current, " "), "none")))
		}
	}
	all := append(slices.Clone(current), c.AddGroup...)
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(c.RemoveGroup, name) }), nil
}
