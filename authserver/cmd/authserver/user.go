package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// userCommands are the commands that manage users.
type userCommands struct {
	Add         userAddCommand      `cmd:"" help:"Add a user. Asks for the password, or reads it from standard input."`
	List        userListCommand     `cmd:"" help:"List the users."`
	Show        userShowCommand     `cmd:"" help:"Show a user."`
	Set         userSetCommand      `cmd:"" help:"Change a user's name, email address or groups. Logins stay."`
	SetPassword userPasswordCommand `cmd:"" help:"Set a user's password and log the user out everywhere. Asks for the password, or reads it from standard input."`
	Logout      userLogoutCommand   `cmd:"" help:"Log a user out everywhere, or out of one client."`
	Disable     userDisableCommand  `cmd:"" help:"Prevent a user from logging in, and log the user out everywhere."`
	Enable      userEnableCommand   `cmd:"" help:"Let a disabled user log in again."`
	Delete      userDeleteCommand   `cmd:"" help:"Delete a user, and log the user out everywhere."`
	Import      userImportCommand   `cmd:"" help:"Import users from a file, or from an export of Keycloak, Supabase or Auth0, with their passwords."`
	Invite      userInviteCommand   `cmd:"" help:"Invite somebody to create an account, with a link in an email."`
	Invitations invitationsCommand  `cmd:"" help:"List the invitations that nobody has used yet."`
}

// userTarget is the user that a command works on.
type userTarget struct {
	server.Database `embed:""`
	Username        string `arg:"" help:"The user's username."`
}

// find sets the username to the stored one of the user, if there is one, however it is spelled.
func (t *userTarget) find(ctx context.Context, s *store.Store) (account.User, error) {
	u, err := account.Find(ctx, t.Username, s.UserByUsername)
	if err == nil {
		t.Username = u.Username
	}
	return u, err
}

// do runs work on the database and prints what was done.
func (t *userTarget) do(
	ctx context.Context,
	streams program.Streams,
	done string,
	work func(*admin.Service) error,
) error {
	if t.Username == "" {
		return errEmpty("the username")
	}
	err := withStore(ctx, t.Database, func(s *store.Store) error {
		if _, err := t.find(ctx, s); err != nil && !errors.Is(err, record.ErrNotFound) {
			return err
		}
		return warnOfLockout(ctx, streams, s, func() error { return work(administration(s)) })
	})
	if err == nil {
		fmt.Fprintf(streams.Out, "user %s: %s\n", t.Username, done)
	}
	return exitError(t.Username, err)
}

// end is do for work that ends the user's logins: all of them, or those at one client.
func (t *userTarget) end(
	ctx context.Context,
	streams program.Streams,
	done, clientID string,
	work func(*admin.Service) error,
) error {
	return t.do(ctx, streams, done, func(s *admin.Service) error {
		of := store.LoginsOf{Username: t.Username, ClientID: clientID}
		return endLoginsIn(ctx, streams.Err, s.Store, of, func() error { return work(s) })
	})
}

// warnOfLockout runs work, and warns if nobody administers the server after it, but somebody did before.
func warnOfLockout(ctx context.Context, streams program.Streams, s *store.Store, work func() error) error {
	before, err := s.Administrators(ctx)
	if err == nil {
		err = work()
	}
	if err != nil || before == 0 {
		return err
	}
	after, err := s.Administrators(ctx)
	if err == nil && after == 0 {
		fmt.Fprintf(streams.Err, "warning: nobody administers the server now; 'authserver user set NAME --add-group %s' "+
			"makes an administrator\n", account.AdminGroup)
	}
	return err
}

// newPassword are the flags of the commands that set a password.
type newPassword struct {
	PasswordMinLength int `env:"HALLPASS_PASSWORD_MIN_LENGTH" default:"${password_min_length}" placeholder:"N" help:"Minimum length of the password, in characters: 8 to 64 (${default})."`
	BcryptCost        int `env:"HALLPASS_BCRYPT_COST" default:"${bcrypt_cost}" help:"Cost of the password hash, from 10 to 16 (${default})."`
}

// Validate checks the flags. kong calls it before Run.
func (c newPassword) Validate() error {
	if c.PasswordMinLength < account.MinPassword || c.PasswordMinLength > account.LongestMinPassword {
		return fmt.Errorf("--password-min-length (HALLPASS_PASSWORD_MIN_LENGTH) must be from %d to %d, not %d",
			account.MinPassword, account.LongestMinPassword, c.PasswordMinLength)
	}
	if c.BcryptCost < account.MinCost || c.BcryptCost > account.MaxCost {
		return fmt.Errorf("--bcrypt-cost (HALLPASS_BCRYPT_COST) must be from %d to %d, not %d",
			account.MinCost, account.MaxCost, c.BcryptCost)
	}
	return nil
}

// hash checks a new password of a user and returns its hash.
func (c newPassword) hash(_ context.Context, user account.User, password string) (string, error) {
	if err := account.CheckPassword(user.Username, password, c.PasswordMinLength); err != nil {
		return "", err
	}
	hasher, err := account.NewHasher(c.BcryptCost)
	if err != nil {
		return "", err
	}
	return hasher.Hash(password)
}

type userAddCommand struct {
	userTarget  `embed:""`
	newPassword `embed:""`
	Name        string   `placeholder:"NAME" help:"Display name. Defaults to the username."`
	Email       string   `placeholder:"ADDRESS" help:"Email address, which clients with the scope email see."`
	Verified    bool     `name:"email-verified" help:"Somebody has checked that the email address is the user's."`
	Group       []string `placeholder:"NAME" sep:"none" help:"Group that the user is in, which clients with the scope groups see. Repeat for more."`
	Issuer      string   `env:"HALLPASS_ISSUER" default:"${issuer}" placeholder:"URL" help:"The authorization server, for the link of an administrator (${default})."`
}

// Help explains what an administrator needs.
func (c *userAddCommand) Help() string {
	return `Users in the group admins administer the server, if it runs with --admin-console. They add a second factor with
a link, which the command prints.`
}

// Validate checks the flags. kong calls it before Run.
func (c *userAddCommand) Validate() error {
	return cmp.Or(c.Database.Validate(), c.newPassword.Validate())
}

// Run adds the user. It checks everything else before it asks for the password.
func (c *userAddCommand) Run(ctx context.Context, streams program.Streams) error {
	n := admin.NewUser{Username: c.Username, Name: c.Name, Email: c.Email, EmailVerified: c.Verified, Groups: c.Group}
	user, err := n.Prepare(time.Now())
	if err != nil {
		return exitError(c.Username, err)
	}
	c.Username = user.Username
	link := ""
	err = c.do(ctx, streams, "added", func(s *admin.Service) error {
		password, err := readPassword(ctx, streams)
		if err != nil {
			return err
		}
		n.Password = &password
		s.Hash = c.hash
		if user, err = s.CreateUser(ctx, n); err != nil || !user.Administers() {
			return err
		}
		link, err = s.EnrolLink(ctx, c.Username)
		return err
	})
	if link != "" {
		printEnrolLink(streams, c.Issuer, c.Username, link)
	}
	return err
}

type userPasswordCommand struct {
	userTarget  `embed:""`
	newPassword `embed:""`
}

// Validate checks the flags. kong calls it before Run.
func (c *userPasswordCommand) Validate() error {
	return cmp.Or(c.Database.Validate(), c.newPassword.Validate())
}

// Run sets the password.
func (c *userPasswordCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.end(ctx, streams, "password set", "", func(s *admin.Service) error {
		password, err := readPassword(ctx, streams)
		if err != nil {
			return err
		}
		s.Hash = c.hash
		return s.SetPassword(ctx, c.Username, password)
	})
}

type userDisableCommand struct {
	userTarget `embed:""`
}

// Run disables the user.
func (c *userDisableCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.end(ctx, streams, "disabled", "", func(s *admin.Service) error {
		return s.DisableUser(ctx, c.Username, nil)
	})
}

type userEnableCommand struct {
	userTarget `embed:""`
}

// Run enables the user.
func (c *userEnableCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.do(ctx, streams, "enabled", func(s *admin.Service) error { return s.EnableUser(ctx, c.Username, nil) })
}

type userDeleteCommand struct {
	userTarget `embed:""`
}

// Run deletes the user.
func (c *userDeleteCommand) Run(ctx context.Context, streams program.Streams) error {
	return c.end(ctx, streams, "deleted", "", func(s *admin.Service) error {
		return s.DeleteUser(ctx, c.Username, nil)
	})
}
