package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var mailTests = []test{
	{"a request for a mail is leased, postponed and finished", testLeaseOfMail},
	{"requests for mails are limited by network and by name", testMailLimits},
	{"no more requests for mails than allowed pass at once", testRaceForMails},
	{"requests for mails of a clock that was ahead do not count", testMailsAhead},
	{"old requests for mails are forgotten", testForgetMails},
	{"a changed password asks for a mail", testMailOfPassword},
	{"the inbox keeps the newest mails", testInbox},
	{"a reset link works once", testResetLinkOnce},
	{"what makes a reset link void", testVoidResetLinks},
	{"concurrent uses of a reset link", testRaceForResetLink},
	{"users are found by a verified email address", testUsersToReset},
}

// newMail returns a request of a stranger at start.
func newMail(typed, network string) mail.Request {
	return mail.Request{
		Kind: mail.ResetPassword, Typed: typed, TypedDigest: "digest of " + typed, Network: network, CreatedAt: start,
		Language: "ko",
	}
}

// takeMails returns all requests that are due at a time. They are due again a minute later.
func takeMails(t testing.TB, s *store.Store, at time.Time) []mail.Request {
	t.Helper()
	taken, err := s.TakeMailRequests(t.Context(), at, at.Add(time.Minute), 1000)
	must(t, err)
	return taken
}

func testLeaseOfMail(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.RequestMail(ctx, newMail("john", "n")))
	same(t, "before it was made", 0, len(takeMails(t, s, start.Add(-time.Second))))
	taken := takeMails(t, s, start)
	same(t, "taken", []mail.Request{
		{ID: taken[0].ID, Kind: mail.ResetPassword, Typed: "john", Language: "ko", CreatedAt: start, Attempts: 1},
	}, taken)
	same(t, "while it is leased", 0, len(takeMails(t, s, start.Add(59*time.Second))))

	again := takeMails(t, s, start.Add(time.Minute))
	same(t, "attempts", int64(2), again[0].Attempts)
	must(t, s.FinishMailRequest(ctx, taken[0])) // by the server that lost it
	must(t, s.ReturnMailRequest(ctx, taken[0], start))
	must(t, s.PostponeMailRequest(ctx, again[0], start.Add(10*time.Minute)))
	same(t, "before the postponed time", 0, len(takeMails(t, s, start.Add(9*time.Minute))))
	third := takeMails(t, s, start.Add(10*time.Minute))
	same(t, "what was typed", "john", third[0].Typed)
	must(t, s.ReturnMailRequest(ctx, third[0], start.Add(20*time.Minute)))
	third = takeMails(t, s, start.Add(20*time.Minute))
	same(t, "attempts after one that was not made", int64(3), third[0].Attempts)
	must(t, s.FinishMailRequest(ctx, third[0]))
	same(t, "after the end", 0, len(takeMails(t, s, start.Add(30*time.Minute))))

	must(t, s.RequestMail(ctx, newMail("old", "n")))
	same(t, "too old", 0, len(takeMails(t, s, start.Add(mail.LimitPeriod+time.Second))))
}

func testMailLimits(t *testing.T, s *store.Store) {
	ctx := t.Context()
	requests := func(networks ...string) (kept int) {
		for _, network := range networks {
			must(t, s.RequestMail(ctx, newMail("john", network)))
		}
		for _, m := range takeMails(t, s, start) {
			if m.Typed == "john" {
				kept++
			}
			must(t, s.FinishMailRequest(ctx, m))
		}
		return kept
	}
	same(t, "requests for one name by one network", mail.MaxRequestsOfNameByNetwork,
		requests("x", "x", "x", "x", "x", "x", "x"))
	same(t, "requests for one name by many networks", mail.MaxRequestsOfName-mail.MaxRequestsOfNameByNetwork,
		requests("y", "z", "u", "v", "w"))
	again := newMail("john", "x")
	again.CreatedAt = start.Add(mail.NamePeriod)
	must(t, s.RequestMail(ctx, again))
	same(t, "requests after a while", "john", takeMails(t, s, again.CreatedAt)[0].Typed)

	for i := range mail.MaxRequestsOfNetwork {
		must(t, s.RequestMail(ctx, newMail("name"+strconv.Itoa(i), "b")))
	}
	expect(t, "one more from the network", s.RequestMail(ctx, newMail("other", "b")), mail.ErrTooMany)
	known := newMail("other", "b")
	known.FromKnownPlace = true
	expect(t, "one more from a known place", s.RequestMail(ctx, known), mail.ErrTooMany)
	must(t, s.RequestMail(ctx, newMail("other", "c")))
	later := newMail("other", "b")
	later.CreatedAt = start.Add(mail.LimitPeriod + time.Second)
	must(t, s.RequestMail(ctx, later))
}

func testRaceForMails(t *testing.T, s *store.Store) {
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		for try := range 4 {
			err := s.RequestMail(ctx, newMail("victim", "network "+strconv.Itoa(i)))
			if err != nil {
				return err
			}
			err = s.RequestMail(ctx, newMail(fmt.Sprintf("user %d-%d", i, try), "one"))
			if err != nil && !errors.Is(err, mail.ErrTooMany) {
				return err
			}
		}
		return nil
	}) {
		must(t, err)
	}
	sent, counts := 1, map[string]int{}
	for sent > 0 {
		taken := takeMails(t, s, start)
		sent = len(taken)
		for _, m := range taken {
			if m.Typed == "victim" {
				counts["victim"]++
			} else if m.Typed != "" {
				counts["network"]++
			}
		}
	}
	same(t, "mails", map[string]int{"victim": mail.MaxRequestsOfName, "network": mail.MaxRequestsOfNetwork}, counts)
}

func testMailsAhead(t *testing.T, s *store.Store) {
	for range mail.MaxRequestsOfName {
		m := newMail("john", "n")
		m.CreatedAt = start.AddDate(1, 0, 0)
		must(t, s.RequestMail(t.Context(), m))
	}
	must(t, s.RequestMail(t.Context(), newMail("john", "n")))
	taken := takeMails(t, s, start)
	same(t, "requests that are due", 1, len(taken))
	same(t, "what was typed", "john", taken[0].Typed)
}

func testForgetMails(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.RequestMail(ctx, newMail("old", "n")))
	must(t, s.RequestMail(ctx, newMail("done", "n")))
	must(t, s.FinishMailRequest(ctx, takeMails(t, s, start)[1]))
	later := newMail("new", "n")
	later.CreatedAt = start.Add(time.Minute)
	must(t, s.RequestMail(ctx, later))
	for _, want := range []int64{1, 0} {
		n, err := s.ForgetMailRequests(ctx, start.Add(time.Minute))
		must(t, err)
		same(t, "forgotten", want, n)
	}
	taken := takeMails(t, s, start.Add(30*time.Minute))
	same(t, "requests that are left", 1, len(taken))
	same(t, "what was typed", "new", taken[0].Typed)
}

func testMailOfPassword(t *testing.T, s *store.Store) {
	john := addUser(t, s, "john")
	must(t, s.SetPassword(t.Context(), john.Username, "$2a$04$new", start))
	taken := takeMails(t, s, start)
	same(t, "taken", []mail.Request{
		{ID: taken[0].ID, Kind: mail.PasswordChanged, UserID: john.ID, CreatedAt: start, Attempts: 1},
	}, taken)
}

func testInbox(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i := range 103 {
		must(t, s.AddToInbox(ctx, mail.Message{To: "a@b", Subject: strconv.Itoa(i), Text: "text\n"}, start))
	}
	mails, err := s.Inbox(ctx)
	must(t, err)
	same(t, "mails", 100, len(mails))
	same(t, "newest", mail.Kept{Message: mail.Message{To: "a@b", Subject: "102", Text: "text\n"}, At: start}, mails[0])
	same(t, "oldest", "3", mails[99].Subject)
}

// addReachable adds a user with a verified email address.
func addReachable(t testing.TB, s *store.Store, username, email string) account.User {
	t.Helper()
	u := newUser(username)
	u.Email, u.EmailVerified = email, true
	must(t, s.CreateUser(t.Context(), u))
	return u
}

// addResetLink adds a link of the user.
func addResetLink(t testing.TB, s *store.Store, digest string, u account.User) {
	t.Helper()
	must(t, s.CreateLink(t.Context(), account.Link{
		Digest: digest, Kind: account.ResetLink, User: u, CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
	}))
}

func testResetLinkOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, c := addReachable(t, s, "john", "john@example.com"), addClient(t, s, "app")
	g := addGrant(t, s, john, c)
	addSession(t, s, "session", john)
	addResetLink(t, s, "link", john)
	addResetLink(t, s, "second", john)
	for range 2 {
		u, err := s.ResetLinkUser(ctx, "link", start)
		must(t, err)
		same(t, "user of the link", john.ID, u.ID)
	}
	must(t, s.UseResetLink(ctx, "link", "$2a$04$new", start.Add(time.Minute)))

	u, err := s.UserByID(ctx, john.ID)
	must(t, err)
	same(t, "hash", "$2a$04$new", u.PasswordHash)
	same(t, "version of the password", int64(1), u.PasswordVersion)
	expectGrant(t, s, revokedAt(g, start.Add(time.Minute)))
	expectSession(t, s, "session", record.ErrNotFound)
	for _, digest := range []string{"link", "second"} { // the password is another one
		expect(t, digest+" after a use", s.UseResetLink(ctx, digest, "$2a$04$again", start.Add(time.Minute)),
			account.ErrLinkUnknown)
	}
}

func testVoidResetLinks(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for name, change := range map[string]func(account.User) error{
		"expired":  func(account.User) error { return nil },
		"disabled": func(u account.User) error { return s.DisableUser(ctx, u.Username, start) },
		"disabled for a while": func(u account.User) error {
			must(t, s.DisableUser(ctx, u.Username, start))
			return s.EnableUser(ctx, u.Username, start)
		},
		"no longer verified": func(u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, func(u account.User) (account.User, error) {
				u.EmailVerified = false
				return u, nil
			})
			return err
		},
		"deleted":  func(u account.User) error { return s.DeleteUser(ctx, u.Username, start) },
		"password": func(u account.User) error { return s.SetPassword(ctx, u.Username, "$2a$04$new", start) },
		"email": func(u account.User) error {
			_, err := s.UpdateUser(ctx, u.Username, start, func(u account.User) (account.User, error) {
				u.Email = "new@example.com"
				return u, nil
			})
			return err
		},
	} {
		u := addReachable(t, s, name, name+"@example.com")
		addResetLink(t, s, name, u)
		must(t, change(u))
		at := start
		if name == "expired" {
			at = start.Add(account.LinkLifetime)
		}
		_, err := s.ResetLinkUser(ctx, name, at)
		expect(t, name+", opened", err, account.ErrLinkUnknown)
		expect(t, name+", used", s.UseResetLink(ctx, name, "$2a$04$x", at), account.ErrLinkUnknown)
	}
}

func testRaceForResetLink(t *testing.T, s *store.Store) {
	john := addReachable(t, s, "john", "john@example.com")
	addResetLink(t, s, "link", john)
	oneWinner(t, atOnce(t.Context(), 16, func(ctx context.Context, i int) error {
		return s.UseResetLink(ctx, "link", "$2a$04$"+strconv.Itoa(i), start)
	}), account.ErrLinkUnknown)
}

func testUsersToReset(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addReachable(t, s, "second", "shared@example.com")
	addReachable(t, s, "first", "Shared@Example.COM")
	addReachable(t, s, "other", "other@example.com")
	disabled := addReachable(t, s, "disabled", "shared@example.com")
	must(t, s.DisableUser(ctx, disabled.Username, start))
	unverified := newUser("unverified")
	unverified.Email = "shared@example.com"
	must(t, s.CreateUser(ctx, unverified))
	for limit, want := range map[int][]string{5: {"first", "second"}, 1: {"first"}} {
		users, err := s.UsersToReset(ctx, account.FoldEmail(" SHARED@example.com"), limit)
		must(t, err)
		names := []string{}
		for _, u := range users {
			names = append(names, u.Username)
		}
		same(t, "users", want, names)
	}
}
