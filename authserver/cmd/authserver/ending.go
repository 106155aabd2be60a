package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// printEnded prints on standard error how many logins a command has ended.
func printEnded(out io.Writer, n store.Logins) { fmt.Fprintf(out, "ended %s\n", describeLogins(n)) }

// endLoginsIn runs work, which ends logins, and prints on standard error how many there were. It counts them right
// before.
func endLoginsIn(ctx context.Context, out io.Writer, s *store.Store, of store.LoginsOf, work func() error) error {
	n, err := s.CountLogins(ctx, of, time.Now())
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	printEnded(out, n)
	return nil
}

// describeLogins says how many logins there are.
func describeLogins(n store.Logins) string {
	text := count(n.Grants, "login")
	if n.Browsers > 0 {
		text += " and " + count(n.Browsers, "browser session")
	}
	return text
}

// count returns a number with its noun, like "2 logins".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type userLogoutCommand struct {
	userTarget `embed:""`
	Client     *string `placeholder:"ID" help:"End only the logins at this client."`
}

// Help explains what goes on.
func (c *userLogoutCommand) Help() string {
	return `Refresh tokens and browser sessions end at once, access tokens at every API within about a second.
The user can log in again. 'user disable' prevents that.

With --client the browser session stays, so the client may log the user in again without a password.
'consent revoke' makes the client ask the user first.`
}

// Run logs the user out.
func (c *userLogoutCommand) Run(ctx context.Context, streams program.Streams) error {
	clientID, done := "", "logged out"
	if c.Client != nil {
		clientID, done = *c.Client, "logged out of "+*c.Client
		if clientID == "" { // which selects all clients
			return errEmpty("--client")
		}
	}
	return c.end(ctx, streams, done, clientID, func(s *admin.Service) error {
		return s.LogOut(ctx, c.Username, clientID)
	})
}
