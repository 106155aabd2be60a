package storetest

import (
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var sessionTests = []test{
	{"a session returns its user until it expires", testSession},
	{"sessions end when the user's password changes or the user is disabled or deleted", testSessionsEnd},
	{"deleting a session, with and without its grants", testDeleteSession},
	{"replacing a session", testReplaceSession},
	{"the public identifier of a session", testSessionID},
	{"an empty session is not that of grants without one", testGrantsWithoutSession},
	{"expired sessions are swept", testSweepSessions},
	{"a login sets the language of the user", testLanguageOfUser},
}

// sessionLength is how long the sessions of these tests last.
const sessionLength = 12 * time.Hour

func addSession(t testing.TB, s *store.Store, digest string, u account.User) {
	t.Helper()
	current, err := s.UserByID(t.Context(), u.ID) // with the current password version
	must(t, err)
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: digest, User: current, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}))
}

// expectSession checks whether a session is valid at start.
func expectSession(t testing.TB, s *store.Store, digest string, want error) {
	t.Helper()
	_, _, err := s.SessionUser(t.Context(), digest, start)
	expect(t, "reading the session "+digest, err, want)
}

func testSession(t *testing.T, s *store.Store) {
	u, other := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	addSession(t, s, "john's", u)
	addSession(t, s, "jane's", other)
	for _, after := range []time.Duration{0, sessionLength - time.Second} {
		got, since, err := s.SessionUser(t.Context(), "john's", start.Add(after))
		must(t, err)
		same(t, "user of the session", u, got)
		want := grant.Authentication{
			At: start, Methods: []string{grant.MethodPassword}, SessionID: grant.SessionID("john's"),
		}
		same(t, "login", want, since)
	}
	for _, after := range []time.Duration{sessionLength, sessionLength + time.Hour} {
		got, since, err := s.SessionUser(t.Context(), "john's", start.Add(after))
		expect(t, "an expired session", err, record.ErrNotFound)
		if got.ID != "" || !since.At.IsZero() {
			t.Errorf("an expired session returned user %v and login %v", got, since)
		}
	}
	_, _, err := s.SessionUser(t.Context(), "john's", start.Add(-time.Minute))
	expect(t, "a session that a clock ahead began", err, record.ErrNotFound)
	for _, digest := range []string{"", "John's", "john's ", "john_s", "nobody's"} {
		expectSession(t, s, digest, record.ErrNotFound)
	}
	if s.StartSession(t.Context(), store.NewSession{
		Digest: "john's", User: other, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}) == nil {
		t.Error("two sessions were created with one digest")
	}
}

// RFC 9700 section 4.14.2, for browser sessions.
func testSessionsEnd(t *testing.T, s *store.Store) {
	ctx := t.Context()
	kept := addUser(t, s, "jane.smith")
	addSession(t, s, "jane's", kept)
	for name, end := range map[string]func(string) error{
		"password": func(name string) error { return s.SetPassword(ctx, name, "hash", start) },
		"disabled": func(name string) error { return s.DisableUser(ctx, name, start) },
		"deleted":  func(name string) error { return s.DeleteUser(ctx, name, start) },
	} {
		u := addUser(t, s, name)
		addSession(t, s, name+" 1", u)
		addSession(t, s, name+" 2", u)
		must(t, end(name))
		expectSession(t, s, name+" 1", record.ErrNotFound)
		expectSession(t, s, name+" 2", record.ErrNotFound)
	}
	must(t, s.EnableUser(ctx, "disabled", start))
	expectSession(t, s, "disabled 1", record.ErrNotFound)
	expectSession(t, s, "jane's", nil)

	// A login that started before the user was disabled creates no session.
	must(t, s.DisableUser(ctx, "disabled", start))
	late, err := s.UserByUsername(ctx, "disabled")
	must(t, err)
	err = s.StartSession(ctx, store.NewSession{
		Digest: "late", User: late, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	})
	expect(t, "creating a session of a disabled user", err, grant.ErrInactive)
	expectSession(t, s, "late", record.ErrNotFound)

	// Nor does a login with the previous password.
	must(t, s.SetPassword(ctx, "jane.smith", "hash", start))
	err = s.StartSession(ctx, store.NewSession{
		Digest: "old", User: kept, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	})
	expect(t, "creating a session with an old password", err, grant.ErrInactive)
}

// addSessionGrant starts a grant in a session.
func addSessionGrant(t testing.TB, s *store.Store, digest string, u account.User, c client.Client) grant.Grant {
	t.Helper()
	g := newGrant(u, c)
	g.Session = digest
	return startGrant(t, s, g)
}

func testDeleteSession(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	for _, digest := range []string{"alone", "with grants", "another"} {
		addSession(t, s, digest, u)
	}
	left, other := addSessionGrant(t, s, "alone", u, c), addSessionGrant(t, s, "another", u, c)
	first := addSessionGrant(t, s, "with grants", u, c)
	second := addSessionGrant(t, s, "with grants", u, addClient(t, s, "second"))
	ended := start.Add(time.Minute)
	must(t, s.DeleteSession(ctx, "alone", false, ended))
	must(t, s.DeleteSession(ctx, "with grants", true, ended))
	must(t, s.DeleteSession(ctx, "with grants", true, ended.Add(time.Hour))) // already deleted
	must(t, s.DeleteSession(ctx, "nobody's", true, ended))

	expectSession(t, s, "alone", record.ErrNotFound)
	expectSession(t, s, "with grants", record.ErrNotFound)
	expectSession(t, s, "another", nil)
	first, second = revokedAt(first, ended), revokedAt(second, ended)
	for _, g := range []grant.Grant{left, other, first, second} {
		expectGrant(t, s, g)
	}
}

// The public identifier of a session stays that of the first one as long as the same user logs in in the same
// browser.
func testSessionID(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	addSession(t, s, "first", john)
	until := start.Add(sessionLength)
	for _, tt := range []struct {
		old, digest string
		user        account.User
		want        string
	}{
		{"first", "second", john, "first"},
		{"second", "third", john, "first"},
		{"third", "hers", jane, "hers"},
		{"unknown", "another", john, "another"},
	} {
		must(t, s.StartSession(ctx, store.NewSession{
			Digest: tt.digest, Old: tt.old, User: tt.user, CreatedAt: start, ExpiresAt: until,
		}))
		_, got, err := s.SessionUser(ctx, tt.digest, start)
		must(t, err)
		same(t, "identifier of "+tt.digest, grant.SessionID(tt.want), got.SessionID)
	}
}

// Codes and grants of the user move to the new session. Those of another user who logged in in
// the same browser do not.
func testReplaceSession(t *testing.T, s *store.Store) {
	ctx := t.Context()
	john, jane, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	code := addCode(t, s, "code", john, c)
	old := code.Session
	mine, others := addSessionGrant(t, s, old, john, c), addSessionGrant(t, s, old, jane, c)
	now := start.Add(time.Second)
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "new", Old: old, User: john, CreatedAt: now, ExpiresAt: now.Add(sessionLength),
	}))
	expectSession(t, s, old, record.ErrNotFound)
	_, since, err := s.SessionUser(ctx, "new", now)
	must(t, err)
	want := grant.Authentication{
		At: now, Methods: []string{grant.MethodPassword}, SessionID: grant.SessionID(old),
	}
	same(t, "login", want, since)

	g := grantOf(code)
	g.Number, err = s.RedeemCode(ctx, code.Digest, g)
	must(t, err)
	mine.Session, g.Session = "new", "new"
	for _, want := range []grant.Grant{mine, others, g} {
		expectGrant(t, s, want)
	}

	loose := addGrant(t, s, john, c)
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "newer", User: john, CreatedAt: now, ExpiresAt: now.Add(sessionLength),
	})) // no old session
	expectSession(t, s, "new", nil)
	expectSession(t, s, "newer", nil)
	expectGrant(t, s, loose)
}

func testGrantsWithoutSession(t *testing.T, s *store.Store) {
	g := addGrant(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	must(t, s.DeleteSession(t.Context(), "", true, start))
	expectGrant(t, s, g)
}

func testSweepSessions(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	const stale = 10
	for i := range stale {
		addSession(t, s, "stale "+strconv.Itoa(i), u)
	}
	now := start.Add(sessionLength + time.Second)
	for i := range stale / 2 { // each sweeps more than one
		must(t, s.StartSession(t.Context(), store.NewSession{
			Digest: "new " + strconv.Itoa(i), User: u, CreatedAt: now, ExpiresAt: now.Add(sessionLength),
		}))
	}
	for i := range stale {
		expectSession(t, s, "stale "+strconv.Itoa(i), record.ErrNotFound) // swept, although it would be valid at start
	}
	for i := range stale / 2 {
		_, _, err := s.SessionUser(t.Context(), "new "+strconv.Itoa(i), now)
		must(t, err)
	}
}

func testLanguageOfUser(t *testing.T, s *store.Store) {
	u, other := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith")
	for i, tt := range []struct{ login, want string }{{"", ""}, {"ko", "ko"}, {"ko", "ko"}, {"", "ko"}, {"de", "de"}} {
		must(t, s.StartSession(t.Context(), store.NewSession{
			Digest: strconv.Itoa(i), User: u, Language: tt.login, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
		}))
		got, err := s.UserByID(t.Context(), u.ID)
		must(t, err)
		same(t, "language after a login in "+tt.login, tt.want, got.Language)
	}
	got, err := s.UserByID(t.Context(), other.ID)
	must(t, err)
	same(t, "language of another user", "", got.Language)
}
