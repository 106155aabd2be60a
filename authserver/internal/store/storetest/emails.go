package storetest

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var emailTests = []test{
	{"a link verifies an email address once", testVerifyEmail},
	{"a link changes an email address once", testChangeEmail},
	{"what makes a link about an email address void", testVoidEmailLinks},
	{"a verified address has one owner", testEmailTaken},
	{"concurrent uses of a link about an email address", testRaceForEmailLink},
	{"concurrent changes to one email address", testRaceForAddress},
	{"notes follow from a request unless it is dropped", testNotes},
}

// addEmailLink adds a link of the user that verifies the address, or changes it to newEmail.
func addEmailLink(t testing.TB, s *store.Store, digest string, u account.User, newEmail string) {
	t.Helper()
	l := account.Link{Digest: digest, User: u, CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime)}
	l.Kind = account.VerifyLink
	if newEmail != "" {
		l.Kind, l.NewEmail = account.ChangeLink, newEmail
	}
	must(t, s.CreateLink(t.Context(), l))
}

// addUnverified adds a user with an email address that nobody has verified.
func addUnverified(t testing.TB, s *store.Store, username, email string) account.User {
	t.Helper()
	u := newUser(username)
	u.Email = email
	must(t, s.CreateUser(t.Context(), u))
	return u
}

func testVerifyEmail(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john := addUnverified(t, s, "john", "john@example.com")
	addEmailLink(t, s, "link", john, "")
	addEmailLink(t, s, "second", john, "")
	for range 2 {
		l, err := s.EmailLink(ctx, "link", start)
		must(t, err)
		same(t, "link", account.Link{Digest: "link", Kind: account.VerifyLink, User: john}, l)
	}
	_, err := s.ResetLinkUser(ctx, "link", start)
	expect(t, "as a link for a password", err, account.ErrLinkUnknown)

	now := start.Add(time.Minute)
	l, err := s.UseEmailLink(ctx, "link", now)
	must(t, err)
	same(t, "address", john.Email, l.Email())
	john.EmailVerified, john.UpdatedAt = true, now
	expectUser(t, s, john)
	same(t, "mails", 0, len(takeMails(t, s, now)))
	for _, digest := range []string{"link", "second"} {
		_, err := s.UseEmailLink(ctx, digest, now)
		expect(t, digest+" after a use", err, account.ErrLinkUnknown)
	}
}

func testChangeEmail(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john := addReachable(t, s, "john", "john@example.com")
	addEmailLink(t, s, "link", john, "new@example.com")
	addEmailLink(t, s, "second", john, "second@example.com")
	now := start.Add(time.Minute)
	l, err := s.UseEmailLink(ctx, "link", now)
	must(t, err)
	same(t, "link", account.Link{
		Digest: "link", Kind: account.ChangeLink, User: john, NewEmail: "new@example.com",
	}, l)
	taken := takeMails(t, s, now)
	same(t, "mails", []mail.Request{{
		ID: taken[0].ID, Kind: mail.EmailChanged, UserID: john.ID, Typed: "john@example.com", CreatedAt: now, Attempts: 1,
	}}, taken)
	john.Email, john.UpdatedAt = "new@example.com", now
	expectUser(t, s, john)
	for _, digest := range []string{"link", "second"} { // the address is another one
		_, err := s.UseEmailLink(ctx, digest, now)
		expect(t, digest+" after a use", err, account.ErrLinkUnknown)
	}
}

func testVoidEmailLinks(t *testing.T, s *store.Store) {
	ctx := t.Context()
	setEmail := func(email string, verified bool) func(account.User) error {
		return func(u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, func(u account.User) (account.User, error) {
				u.Email, u.EmailVerified = email, verified
				return u, nil
			})
			return err
		}
	}
	for name, tt := range map[string]struct {
		newEmail string
		change   func(account.User) error
	}{
		"expired":          {"", func(account.User) error { return nil }},
		"expired change":   {"new@example.com", func(account.User) error { return nil }},
		"disabled":         {"", func(u account.User) error { return s.DisableUser(ctx, u.Username, start) }},
		"deleted":          {"", func(u account.User) error { return s.DeleteUser(ctx, u.Username, start) }},
		"password":         {"new@x.test", func(u account.User) error { return s.SetPassword(ctx, u.Username, "", start) }},
		"another address":  {"", setEmail("other@example.com", false)},
		"change, another":  {"new@example.com", setEmail("another@example.com", true)},
		"already verified": {"", setEmail("already verified@example.com", true)},
	} {
		u := addUnverified(t, s, name, name+"@example.com")
		addEmailLink(t, s, name, u, tt.newEmail)
		must(t, tt.change(u))
		at := start
		if name == "expired" || name == "expired change" {
			at = start.Add(account.LinkLifetime)
		}
		_, err := s.EmailLink(ctx, name, at)
		expect(t, name+", opened", err, account.ErrLinkUnknown)
		_, err = s.UseEmailLink(ctx, name, at)
		expect(t, name+", used", err, account.ErrLinkUnknown)
	}
}

func testEmailTaken(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john := addUnverified(t, s, "john", "john@example.com")
	ada := addUnverified(t, s, "ada", "shared@example.com")
	addEmailLink(t, s, "ada", ada, "")
	addEmailLink(t, s, "john", john, "Shared@Example.com")
	_, err := s.UseEmailLink(ctx, "ada", start)
	must(t, err)
	_, err = s.UseEmailLink(ctx, "john", start)
	expect(t, "an address that is taken", err, account.ErrEmailTaken)
	expectUser(t, s, john)

	owners, err := s.UsersByEmail(ctx, "shared@example.com", 5)
	must(t, err)
	same(t, "owners", 1, len(owners))
	must(t, s.DisableUser(ctx, "ada", start))
	owners, err = s.UsersByEmail(ctx, "shared@example.com", 5)
	must(t, err)
	same(t, "owners who are disabled", 1, len(owners))
	must(t, s.DeleteUser(ctx, "ada", start))
	_, err = s.UseEmailLink(ctx, "john", start)
	must(t, err)
}

func testRaceForEmailLink(t *testing.T, s *store.Store) {
	john := addReachable(t, s, "john", "john@example.com")
	addEmailLink(t, s, "link", john, "new@example.com")
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		_, err := s.UseEmailLink(ctx, "link", start)
		return err
	}), account.ErrLinkUnknown)
	same(t, "mails", 1, len(takeMails(t, s, start)))
}

func testRaceForAddress(t *testing.T, s *store.Store) {
	for i := range racers {
		name := "user" + strconv.Itoa(i)
		addEmailLink(t, s, name, addReachable(t, s, name, name+"@example.com"), "new@example.com")
	}
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		_, err := s.UseEmailLink(ctx, "user"+strconv.Itoa(i), start)
		return err
	}), account.ErrEmailTaken)
	owners, err := s.UsersByEmail(t.Context(), "new@example.com", racers)
	must(t, err)
	same(t, "owners", 1, len(owners))
}

func testNotes(t *testing.T, s *store.Store) {
	note := mail.Request{Kind: mail.EmailChanging, UserID: "u", Typed: "old@example.com", CreatedAt: start}
	for range mail.MaxRequestsOfName + 2 {
		must(t, s.RequestMail(t.Context(), newMail("new@example.com", "n"), note))
	}
	notes := 0
	for _, m := range takeMails(t, s, start) {
		if m.Kind == mail.EmailChanging {
			notes++
		}
	}
	same(t, "notes", mail.MaxRequestsOfNameByNetwork, notes)
	_, err := s.UserByID(t.Context(), "u")
	expect(t, "the user of the notes", err, record.ErrNotFound)
}
