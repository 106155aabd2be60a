package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// DemoMode says whether the demo is on.
type DemoMode string

// The modes of the demo.
const (
	DemoOff  DemoMode = "off"
	DemoOn   DemoMode = "on"
	DemoAuto DemoMode = "auto" // on if the issuer is this machine
)

// demoModes are the texts of the modes. Those of a boolean were the only ones in previous
// versions.
var demoModes = map[string]DemoMode{
	"auto": DemoAuto,
	"on":   DemoOn, "true": DemoOn, "yes": DemoOn, "1": DemoOn,
	"off": DemoOff, "false": DemoOff, "no": DemoOff, "0": DemoOff,
}

// IsBool lets kong accept the flag without a value.
func (m *DemoMode) IsBool() bool { return true }

// Decode reads the flag, which means on without a value, or the environment variable. kong
// calls it.
func (m *DemoMode) Decode(c *kong.DecodeContext) error {
	if c.Scan.Peek().Type != kong.FlagValueToken {
		*m = DemoOn
		return nil
	}
	text := fmt.Sprint(c.Scan.Pop().Value)
	mode, ok := demoModes[strings.ToLower(text)]
	if !ok {
		return fmt.Errorf("must be auto, on or off, not %q", text)
	}
	*m = mode
	return nil
}

// demoOn reports whether the demo is on.
func (s *Settings) demoOn() bool {
	return s.Demo == DemoOn || (s.Demo == DemoAuto && isLoopback(s.Issuer))
}

// isLoopback reports whether a URL is that of a server that only this machine can reach.
func isLoopback(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || (err == nil && ip.Unmap().IsLoopback())
}

// demoClient is the id of the client that --demo makes.
const demoClient = "demo"

// demoUsers are those of the FastAPI tutorial that Hallpass grew from. Their passwords are in
// the README.
var demoUsers = []struct{ username, password, name string }{
	{"john.doe", "securepassword", "John Doe"},
	{"jane.smith", "anothersecurepass", "Jane Smith"},
}

// demoUsernames returns the usernames of the demo's users.
func demoUsernames() []string {
	names := make([]string, len(demoUsers))
	for i, u := range demoUsers {
		names[i] = u.username
	}
	return names
}

// demoScope is what the resource server in this repository needs.
var demoScope = oauth.Scope{"profile", "items:read", "items:write"}

// demoDescriptions describe the scopes that the authorization server gives no meaning to.
var demoDescriptions = []resource.ScopeDescription{
	{Scope: "items:read", Text: "See your items"},
	{Scope: "items:write", Text: "See and change your items"},
}

// prepareDemo makes the demo users and the demo client if the demo is on, and warns while they can
// log in. If the demo is off, it ends the sessions and grants of demo users who still have the demo's
// password.
func prepareDemo(
	ctx context.Context,
	on bool,
	data *store.Store,
	hasher *account.Hasher,
	now time.Time,
	log *slog.Logger,
) error {
	if !on {
		return data.EndDemo(ctx, demoUsernames(), now)
	}
	if err := makeDemo(ctx, data, hasher, now, log); err != nil {
		return err
	}
	known, err := data.HasDemoUsers(ctx, demoUsernames())
	if known {
		log.WarnContext(ctx,
			"demo: users with well-known passwords are in this database: do not use it for anything real")
	}
	return err
}

// makeDemo makes the demo users and the demo client, once in the life of a database that has no users
// and no clients.
func makeDemo(
	ctx context.Context,
	data *store.Store,
	hasher *account.Hasher,
	now time.Time,
	log *slog.Logger,
) error {
	made, err := data.DemoMade(ctx)
	if err != nil {
		return err
	}
	empty, err := data.Empty(ctx)
	if err != nil {
		return err
	}
	if made || !empty {
		log.InfoContext(ctx, "demo: nothing is added: the database is in use already, or had its demo users before")
		return nil
	}
	if err := seedDemo(ctx, data, hasher, now); err != nil {
		return err
	}
	return data.SetDemoMade(ctx)
}

// seedDemo makes the demo users and the demo client. Two servers may do so at once: the second
// finds what it would have made.
func seedDemo(ctx context.Context, data *store.Store, hasher *account.Hasher, now time.Time) error {
	c := client.Client{
		ID: demoClient, Name: "Demo", Grants: []oauth.GrantType{oauth.GrantPassword, oauth.GrantRefreshToken},
		Scope: demoScope, FirstParty: true, CreatedAt: now,
	}
	if err := data.CreateClient(ctx, c); err != nil && !errors.Is(err, record.ErrExists) {
		return err
	}
	for _, description := range demoDescriptions {
		if err := data.DescribeScope(ctx, description, now); err != nil {
			return err
		}
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
			user.Demo = true
			if err := data.CreateUser(ctx, user); !errors.Is(err, record.ErrExists) {
				return err
			}
			return nil
		})
	}
	return group.Wait()
}
