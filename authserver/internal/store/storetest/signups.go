package storetest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var signUpTests = []test{
	{"a sign-up link works once", testSignUpOnce},
	{"what makes a sign-up link void", testVoidSignUps},
	{"a sign-up link goes on after a username that is in use", testSignUpNameInUse},
	{"invitations are replaced, used and withdrawn", testInvitations},
	{"expired sign-ups and invitations are swept", testSweepSignUps},
	{"all that has ended is deleted without another insert", testSweep},
	{"concurrent sign-ups with one address", testRaceForSignUpAddress},
	{"concurrent sign-ups with one username", testRaceForSignUpName},
	{"concurrent changes of an address do not wait for each other", testRaceOfAddress},
	{"a deletion voids links for the address at that time", testVoidLinksOfDeleted},
	{"a sign-up has the groups of the latest invitation", testSignUpGroups},
	{"links of a clock that was ahead do not work", testLinksAhead},
}

// addSignUp adds a sign-up link for an address.
func addSignUp(t testing.TB, s *store.Store, digest, email string) {
	t.Helper()
	must(t, s.CreateSignUpLink(t.Context(), account.SignUpLink{
		Digest: digest, Email: email, CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
	}))
}

// signingUp returns a user who signs up with an address.
func signingUp(username, email string) account.User {
	u := newUser(username)
	u.Email, u.EmailVerified = email, true
	return u
}

// invitationOf returns an invitation that begins at start.
func invitationOf(email, name string, groups ...string) account.Invitation {
	return account.Invitation{
		Email: email, Name: name, Groups: groups, CreatedAt: start, ExpiresAt: start.Add(account.InvitationLifetime),
	}
}

func testSignUpOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addSignUp(t, s, "link", "Ada@example.com")
	addSignUp(t, s, "second", "ada@example.com")
	for range 2 {
		l, err := s.SignUpLink(ctx, "link", start)
		must(t, err)
		same(t, "link", account.SignUpLink{
			Digest: "link", Email: "Ada@example.com", CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
		}, l)
	}
	ada := signingUp("ada", "Ada@example.com")
	must(t, s.SignUp(ctx, "link", ada, false, start))
	expectUser(t, s, ada)
	for _, digest := range []string{"link", "second"} {
		_, err := s.SignUpLink(ctx, digest, start)
		expect(t, digest+" after a use", err, account.ErrLinkUnknown)
		expect(t, digest+" after a use", s.SignUp(ctx, digest, signingUp("eve", "ada@example.com"), false, start),
			account.ErrEmailTaken)
	}
}

func testVoidSignUps(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addSignUp(t, s, "link", "ada@example.com")
	ada := signingUp("ada", "ada@example.com")
	expired := start.Add(account.LinkLifetime)
	_, err := s.SignUpLink(ctx, "link", expired)
	expect(t, "expired, opened", err, account.ErrLinkUnknown)
	expect(t, "expired, used", s.SignUp(ctx, "link", ada, false, expired), account.ErrLinkUnknown)
	expect(t, "unknown", s.SignUp(ctx, "other", ada, false, start), account.ErrLinkUnknown)
	expect(t, "of another address", s.SignUp(ctx, "link", signingUp("eve", "eve@example.com"), false, start),
		account.ErrLinkUnknown)
	expect(t, "without the invitation", s.SignUp(ctx, "link", ada, true, start), account.ErrLinkUnknown)

	other := addReachable(t, s, "other", "ADA@example.com") // made meanwhile
	expect(t, "of an address that is taken", s.SignUp(ctx, "link", ada, false, start), account.ErrEmailTaken)
	must(t, s.DeleteUser(ctx, other.Username, start))
	expect(t, "of an address whose user was deleted", s.SignUp(ctx, "link", ada, false, start), account.ErrLinkUnknown)
	addSignUp(t, s, "new link", "ada@example.com")
	must(t, s.SignUp(ctx, "new link", ada, false, start))
}

func testSignUpNameInUse(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addUser(t, s, "john")
	addSignUp(t, s, "link", "ada@example.com")
	must(t, s.Invite(ctx, invitationOf("ada@example.com", ""), nil))
	for _, username := range []string{"john", "JOHN", "j\u043ehn"} {
		expect(t, username, s.SignUp(ctx, "link", signingUp(username, "ada@example.com"), true, start), record.ErrExists)
	}
	must(t, s.SignUp(ctx, "link", signingUp("ada", "ada@example.com"), true, start))
}

func testInvitations(t *testing.T, s *store.Store) {
	ctx := t.Context()
	request := mail.Request{Kind: mail.Invitation, Typed: "ada@example.com", CreatedAt: start}
	must(t, s.Invite(ctx, invitationOf("Ada@example.com", "Ada"), &request))
	must(t, s.Invite(ctx, invitationOf("ada@example.com", "Ada L.", "admins", "staff"), &request))
	same(t, "mails", 2, len(takeMails(t, s, start)))
	want := invitationOf("ada@example.com", "Ada L.", "admins", "staff")
	got, err := s.Invitation(ctx, "ADA@example.com", start)
	must(t, err)
	same(t, "invitation", want, got)
	_, err = s.Invitation(ctx, "ada@example.com", want.ExpiresAt)
	expect(t, "an expired invitation", err, record.ErrNotFound)

	must(t, s.Invite(ctx, invitationOf("bob@example.com", ""), nil))
	addSignUp(t, s, "of bob", "bob@example.com")
	all, err := s.Invitations(ctx, start, record.Page{})
	must(t, err)
	same(t, "invitations", []account.Invitation{want, invitationOf("bob@example.com", "")}, all)
	must(t, s.Withdraw(ctx, "Bob@example.com", start))
	expect(t, "a second withdrawal", s.Withdraw(ctx, "bob@example.com", start), record.ErrNotFound)
	_, err = s.SignUpLink(ctx, "of bob", start)
	expect(t, "the link of a withdrawn invitation", err, account.ErrLinkUnknown)

	addSignUp(t, s, "of ada", "ada@example.com")
	must(t, s.SignUp(ctx, "of ada", signingUp("ada", "ada@example.com"), true, start))
	_, err = s.Invitation(ctx, "ada@example.com", start)
	expect(t, "a used invitation", err, record.ErrNotFound)
	expect(t, "an invitation of a user", s.Invite(ctx, want, nil), account.ErrEmailTaken)
}

func testSweepSignUps(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i := range 5 {
		addSignUp(t, s, strconv.Itoa(i), strconv.Itoa(i)+"@example.com")
		must(t, s.Invite(ctx, invitationOf(strconv.Itoa(i)+"@example.com", ""), nil))
	}
	late := start.Add(account.InvitationLifetime + time.Second)
	must(t, s.CreateSignUpLink(ctx, account.SignUpLink{
		Digest: "late", Email: "late@example.com", CreatedAt: late, ExpiresAt: late.Add(account.LinkLifetime),
	}))
	i := invitationOf("late@example.com", "")
	i.CreatedAt, i.ExpiresAt = late, late.Add(account.InvitationLifetime)
	must(t, s.Invite(ctx, i, nil))
	for _, table := range []string{"sign_ups", "invitations", "locks"} {
		if n := s.Swept()[table]; n == 0 {
			t.Errorf("no expired rows of %s were deleted", table)
		}
	}
}

// manyRows is more than Sweep deletes with one statement.
const manyRows = 1001

func testSweep(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addSessionAt(t, s, "ended", addUser(t, s, "john.doe"), account.Place{})
	addSignUp(t, s, "ended", "ada@example.com")
	must(t, s.Invite(ctx, invitationOf("bob@example.com", ""), nil))
	late := start.Add(account.InvitationLifetime + sessionLength + time.Second)
	for i := range manyRows {
		must(t, s.UseAssertion(ctx, strconv.Itoa(i), late.Add(-time.Second), start))
	}
	must(t, s.UseAssertion(ctx, "valid", late.Add(time.Second), start))
	must(t, s.Sweep(ctx, late))
	want := map[string]int64{"sessions": 1, "sign_ups": 1, "invitations": 1, "locks": 1, "used_assertions": manyRows}
	for table, rows := range s.Swept() {
		same(t, "deleted rows of "+table, want[table], rows)
	}
	must(t, s.Sweep(ctx, late))
	same(t, "rows deleted twice", int64(manyRows), s.Swept()["used_assertions"])
	expect(t, "a valid assertion again", s.UseAssertion(ctx, "valid", late, start), record.ErrExists)
}

func testRaceForSignUpAddress(t *testing.T, s *store.Store) {
	for i := range racers {
		addSignUp(t, s, strconv.Itoa(i), "ada@example.com")
	}
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		return s.SignUp(ctx, strconv.Itoa(i), signingUp("ada"+strings.Repeat("x", i), "ada@example.com"), false, start)
	}), account.ErrEmailTaken)
}

func testRaceForSignUpName(t *testing.T, s *store.Store) {
	for i := range racers {
		addSignUp(t, s, strconv.Itoa(i), strconv.Itoa(i)+"@example.com")
	}
	errs := atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		u := signingUp("ada", strconv.Itoa(i)+"@example.com")
		u.ID += strconv.Itoa(i)
		return s.SignUp(ctx, strconv.Itoa(i), u, false, start)
	})
	oneWinner(t, errs, record.ErrExists)
	for i, err := range errs {
		_, opened := s.SignUpLink(t.Context(), strconv.Itoa(i), start)
		if (err == nil) != errors.Is(opened, account.ErrLinkUnknown) {
			t.Errorf("link %d after %v: %v", i, err, opened)
		}
	}
}

// Whatever the order of these, none fails because of the others, and none waits for another one forever.
func testRaceOfAddress(t *testing.T, s *store.Store) {
	const email = "ada@example.com"
	change := []func(ctx context.Context, i int) error{
		func(ctx context.Context, _ int) error { return s.Invite(ctx, invitationOf(email, ""), nil) },
		func(ctx context.Context, _ int) error { return s.Withdraw(ctx, email, start) },
		func(ctx context.Context, i int) error {
			digest := "link " + strconv.Itoa(i)
			err := s.CreateSignUpLink(ctx, account.SignUpLink{
				Digest: digest, Email: email, CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
			})
			if err == nil {
				err = s.SignUp(ctx, digest, signingUp("ada", email), false, start)
			}
			return err
		},
		func(ctx context.Context, _ int) error { return s.DeleteUser(ctx, "ada", start) },
		func(ctx context.Context, i int) error {
			u, err := s.UserByUsername(ctx, "ada")
			if err != nil {
				return err
			}
			digest := "new " + strconv.Itoa(i)
			err = s.CreateLink(ctx, account.Link{
				Digest: digest, Kind: account.ChangeLink, User: u, NewEmail: email,
				CreatedAt: start, ExpiresAt: start.Add(account.LinkLifetime),
			})
			if err == nil {
				_, err = s.UseEmailLink(ctx, digest, start)
			}
			return err
		},
	}
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		for round := range 10 {
			err := change[(i+round)%len(change)](ctx, i*100+round)
			known := errors.Is(err, account.ErrLinkUnknown) || errors.Is(err, account.ErrEmailTaken) ||
				errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrExists)
			if err != nil && !known {
				return err
			}
		}
		return nil
	}) {
		must(t, err)
	}
}

// The address that counts is the one at the deletion, not one that was read before it.
func testVoidLinksOfDeleted(t *testing.T, s *store.Store) {
	addReachable(t, s, "ada", "old@example.com")
	addSignUp(t, s, "link", "new@example.com")
	meanwhile := func(ctx context.Context, s *store.Store, _ database.Tx, username string) error {
		_, err := s.UpdateUser(ctx, username, start, func(u account.User) (account.User, error) {
			u.Email = "new@example.com"
			return u, nil
		})
		return err
	}
	must(t, s.Together(t.Context(), "", start, func(ctx context.Context) error {
		return s.DeleteUserIf(ctx, "ada", start, meanwhile)
	}))
	_, err := s.SignUpLink(t.Context(), "link", start)
	expect(t, "a link for the address", err, account.ErrLinkUnknown)
}

func testSignUpGroups(t *testing.T, s *store.Store) {
	addSignUp(t, s, "link", "ada@example.com")
	i := invitationOf("ada@example.com", "")
	i.Groups = []string{"staff", "editors"}
	must(t, s.Invite(t.Context(), i, nil))
	ada := signingUp("ada", "ada@example.com")
	ada.Groups = []string{"admins"} // of an earlier invitation
	must(t, s.SignUp(t.Context(), "link", ada, true, start))
	ada.Groups = i.Groups
	expectUser(t, s, ada)
}

func testLinksAhead(t *testing.T, s *store.Store) {
	ctx, ahead := t.Context(), start.AddDate(1, 0, 0)
	until := ahead.Add(account.LinkLifetime)
	u := addReachable(t, s, "john", "john@example.com")
	must(t, s.CreateSignUpLink(ctx, account.SignUpLink{
		Digest: "sign-up", Email: "ada@example.com", CreatedAt: ahead, ExpiresAt: until,
	}))
	for digest, kind := range map[string]account.LinkKind{"reset": account.ResetLink, "change": account.ChangeLink} {
		must(t, s.CreateLink(ctx, account.Link{
			Digest: digest, Kind: kind, User: u, NewEmail: "new@example.com", CreatedAt: ahead, ExpiresAt: until,
		}))
	}
	_, signUp := s.SignUpLink(ctx, "sign-up", start)
	_, change := s.EmailLink(ctx, "change", start)
	_, reset := s.ResetLinkUser(ctx, "reset", start)
	for what, err := range map[string]error{"sign-up": signUp, "change": change, "reset": reset} {
		expect(t, what, err, account.ErrLinkUnknown)
	}
	_, err := s.ResetLinkUser(ctx, "reset", ahead)
	must(t, err)
}
