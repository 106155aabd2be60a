package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// shownUser is a user as the commands print it, without the password hash.
type shownUser struct {
	ID          string     `json:"id"`
	Username    string     `json:"username"`
	Name        string     `json:"name"`
	Email       string     `json:"email,omitempty"`
	Verified    bool       `json:"email_verified,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at,omitempty"`
	DisabledAt  *time.Time `json:"disabled_at,omitempty"`
	// SecondFactors are shown by user show only.
	SecondFactors []string `json:"second_factors,omitempty"`
}

func showUser(u account.User) shownUser {
	return shownUser{
		ID:          u.ID,
		Username:    u.Username,
		Name:        u.Name,
		Email:       u.Email,
		Verified:    u.EmailVerified,
		Groups:      u.Groups,
		CreatedAt:   u.CreatedAt,
		LastLoginAt: optional(u.LastLoginAt),
		DisabledAt:  optional(u.DisabledAt),
	}
}

// email returns the email address for a table.
func (u shownUser) email() string {
	if u.Email != "" && u.Verified {
		return u.Email + " (verified)"
	}
	return u.Email
}

type userListCommand struct {
	server.Database `embed:""`
	pageFlags       `embed:""`
}

// Validate checks the flags. kong calls it before Run.
func (c *userListCommand) Validate() error {
	return cmp.Or(c.Database.Validate(), c.pageFlags.Validate())
}

// Run lists the users.
func (c *userListCommand) Run(ctx context.Context, streams program.Streams) error {
	return withAdmin(ctx, c.Database, func(s *admin.Service) error {
		out := newListPrinter(streams.Out, c.JSON, []any{"USERNAME", "NAME", "ID", "LAST LOGIN", "DISABLED"})
		return printPages(c.pageFlags, out, func(page record.Page) ([]account.User, error) { return s.Users(ctx, page) },
			func(u account.User) (key string, shown any, row []any) {
				v := showUser(u)
				return v.Username, v, []any{v.Username, v.Name, v.ID, formatTime(v.LastLoginAt), formatTime(v.DisabledAt)}
			})
	})
}

type userShowCommand struct {
	userTarget `embed:""`
	JSON       bool `help:"Print JSON."`
}

// Run shows the user.
func (c *userShowCommand) Run(ctx context.Context, streams program.Streams) error {
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		u, err := c.find(ctx, s)
		if err != nil {
			return err
		}
		v := showUser(u)
		factors, _, err := administration(s).SecondFactors(ctx, u.Username)
		if err != nil {
			return err
		}
		for _, f := range factors {
			v.SecondFactors = append(v.SecondFactors, string(f.Kind))
		}
		if c.JSON {
			return printJSON(streams.Out, v)
		}
		return printTable(streams.Out, []any{"username", v.Username}, [][]any{
			{"name", v.Name},
			{"id", v.ID},
			{"email", v.email()},
			{"groups", strings.Join(v.Groups, " ")},
			{"second factors", strings.Join(v.SecondFactors, " ")},
			{"created", formatTime(&v.CreatedAt)},
			{"last login", formatTime(v.LastLoginAt)},
			{"disabled", formatTime(v.DisabledAt)},
		})
	})
	return exitError(c.Username, err)
}
