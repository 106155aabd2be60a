package storetest

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// invite invites an address at a time, and returns what the audit log calls it.
func invite(t *testing.T, s *store.Store, email string, at time.Time) string {
	t.Helper()
	must(t, s.Invite(t.Context(), account.Invitation{Email: email, CreatedAt: at, ExpiresAt: at.Add(time.Hour)}, nil))
	for _, r := range recorded(t, s, audit.Filter{Event: "invitation_made"}) {
		if r.Subject.Name == email {
			return r.Subject.ID
		}
	}
	t.Fatalf("no record of the invitation of %s", email)
	return ""
}

// untilForgotten calls done after the last name was checked.
type untilForgotten struct {
	*store.Store
	done func()
}

func (d untilForgotten) ForgetNames(ctx context.Context, after string, before time.Time, limit int) (string, error) {
	last, err := d.Store.ForgetNames(ctx, after, before, limit)
	if last == "" {
		d.done()
	}
	return last, err
}

// dropOld drops what is older than the retention at a time, as a server does.
func dropOld(t *testing.T, s *store.Store, now time.Time) {
	t.Helper()
	ctx, done := context.WithCancel(t.Context())
	sealer := &audit.Sealer{
		Store: untilForgotten{s, done}, Retention: audit.MinRetention, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
	}
	sealer.Run(ctx)
	if n := sealer.Errors(); n > 0 {
		t.Errorf("%d errors", n)
	}
}

// The address of an invitation that nobody uses is forgotten with its last record.
func testForgetNames(t *testing.T, s *store.Store) {
	const day = 24 * time.Hour
	ids := map[string]string{}
	for i := range 150 { // more than are checked at once
		email := strconv.Itoa(i) + "@example.com"
		ids[email] = invite(t, s, email, start)
		must(t, s.Withdraw(t.Context(), email, start))
	}
	const again = "100@example.com"
	invite(t, s, again, start.Add(20*day))
	n, err := s.SealAudit(t.Context(), 1000)
	if n != 301 {
		t.Fatalf("sealed %d, %v", n, err)
	}
	dropOld(t, s, start.Add(29*day))
	for _, r := range recorded(t, s, audit.Filter{}) {
		if r.Subject.Name == "" {
			t.Errorf("the address of %+v was forgotten before its record was dropped", r)
		}
	}
	dropOld(t, s, start.Add(40*day))
	for email, id := range ids {
		if kept := invite(t, s, email, start.Add(40*day)) == id; kept != (email == again) {
			t.Errorf("the address %s is kept: %v", email, kept)
		}
	}
}

// The address that a user no longer has is forgotten, if it was the user's.
func testForgetOldAddress(t *testing.T, s *store.Store) {
	ctx := t.Context()
	set := func(email string, verified bool) func(account.User) (account.User, error) {
		return func(u account.User) (account.User, error) {
			u.Email, u.EmailVerified = email, verified
			return u, nil
		}
	}
	for name, tt := range map[string]struct {
		verified, forgotten bool
		change              func(email string, u account.User) error
	}{
		"by link": {true, true, func(email string, u account.User) error {
			must(t, s.CreateLink(ctx, account.Link{
				Digest: email, Kind: account.ChangeLink, User: u, NewEmail: "new-" + email,
				CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
			}))
			_, err := s.UseEmailLink(ctx, email, start)
			return err
		}},
		"by administrator": {true, true, func(email string, u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, set("new-"+email, true))
			return err
		}},
		"not verified": {false, false, func(email string, u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, set("new-"+email, true))
			return err
		}},
		"same address": {true, false, func(email string, u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, set("X"+email[1:], true))
			return err
		}},
	} {
		u := newUser(strings.ReplaceAll(name, " ", "-"))
		email := "x-" + u.Username + "@example.com"
		id := invite(t, s, email, start)
		u.Email, u.EmailVerified = email, tt.verified
		must(t, s.CreateUser(ctx, u))
		must(t, tt.change(email, u))
		found := recorded(t, s, audit.Filter{Subject: []string{id}})
		if len(found) != 1 || (found[0].Subject.Name == "") != tt.forgotten {
			t.Errorf("%s: the invitation is recorded as %+v, want forgotten %v", name, found, tt.forgotten)
		}
	}
}
