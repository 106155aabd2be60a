package storetest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var noticeTests = []test{
	{"what ends a session tells the clients that know it", testNoticesOfEndings},
	{"clients that are not told of a logout", testNoNotices},
	{"a client that has revoked its tokens is told of a logout", testNoticeAfterRevocation},
	{"a grant is kept as long as its session", testGrantOfSessionIsKept},
	{"a notice is leased, postponed and deleted", testLeaseOfNotice},
	{"a client with many notices keeps no others out", testNoticesPerClient},
	{"concurrent servers take each notice once", testRaceForNotices},
	{"a session is ended by several at once", testRaceToEndSession},
}

// addTold adds a client that is told of logouts.
func addTold(t testing.TB, s *store.Store, id string) client.Client {
	t.Helper()
	c := newClient(id)
	c.BackchannelLogoutURI = "https://" + id + ".example/logout"
	must(t, s.CreateClient(t.Context(), c))
	return c
}

// addOpenIDGrant starts a grant in a session, with an ID token that says its sid.
func addOpenIDGrant(t testing.TB, s *store.Store, digest string, u account.User, c client.Client) grant.Grant {
	t.Helper()
	g := newGrant(u, c)
	g.Session = digest
	g.Authentication = grant.Authentication{At: start, Methods: []string{"pwd"}, SessionID: grant.SessionID(digest)}
	return startGrant(t, s, g)
}

// takeNotices returns all notices that are due at a time, as texts in order: client, user and session. They are
// due again a minute later.
func takeNotices(t testing.TB, s *store.Store, at time.Time) []string {
	t.Helper()
	taken, err := s.TakeLogoutNotices(t.Context(), at, at.Add(time.Minute), 100, 100)
	must(t, err)
	texts := []string{}
	for _, n := range taken {
		texts = append(texts, strings.Join([]string{n.ClientID, n.Subject, n.SessionID}, " "))
	}
	slices.Sort(texts)
	return texts
}

// told returns the text of a notice.
func told(clientID string, u account.User, digest string) string {
	return clientID + " " + u.ID + " " + grant.SessionID(digest)
}

// Each ending tells the clients of the sessions that it ends. John has two sessions, Jane has one.
func testNoticesOfEndings(t *testing.T, s *store.Store) {
	ctx := t.Context()
	a, b, quiet := addTold(t, s, "a"), addTold(t, s, "b"), addClient(t, s, "quiet")
	jane := addUser(t, s, "jane")
	addSession(t, s, "jane's", jane)
	addOpenIDGrant(t, s, "jane's", jane, a)
	until := start.Add(sessionLength)
	here, everywhere, ofA := []string{"a 1", "b 1"}, []string{"a 1", "a 2", "b 1"}, []string{"a 1", "a 2"}
	for name, tt := range map[string]struct {
		end  func(account.User) error
		want []string // clients and sessions of John
	}{
		"logout":          {func(u account.User) error { return s.DeleteSession(ctx, u.ID+"1", true, start) }, here},
		"logout here":     {func(u account.User) error { return s.DeleteSession(ctx, u.ID+"1", false, start) }, nil},
		"logout nowhere":  {func(account.User) error { return s.DeleteSession(ctx, "", true, start) }, nil},
		"logout by admin": {func(u account.User) error { return s.LogOut(ctx, u.Username, "", start) }, everywhere},
		"one client":      {func(u account.User) error { return s.LogOut(ctx, u.Username, "a", start) }, ofA},
		"app":             {func(u account.User) error { return s.RevokeConsent(ctx, u.ID, "a", start) }, ofA},
		"others":          {func(u account.User) error { return s.EndOtherLogins(ctx, u.ID, u.ID+"2", start) }, here},
		"new password": {func(u account.User) error {
			return s.ChangePassword(ctx, u, "h", kept(u.ID+"2"), start)
		}, everywhere},
		"own account": {func(u account.User) error { return s.DeleteAccount(ctx, u, start) }, everywhere},
		"password":    {func(u account.User) error { return s.SetPassword(ctx, u.Username, "h", start) }, everywhere},
		"disabled":    {func(u account.User) error { return s.DisableUser(ctx, u.Username, start) }, everywhere},
		"deleted":     {func(u account.User) error { return s.DeleteUser(ctx, u.Username, start) }, everywhere},
		"logs in again": {func(u account.User) error {
			return s.StartSession(ctx, store.NewSession{
				Digest: u.ID + "again", Old: u.ID + "1", User: u, CreatedAt: start, ExpiresAt: until,
			})
		}, nil},
		"another user": {func(u account.User) error {
			return s.StartSession(ctx, store.NewSession{
				Digest: u.ID + "hers", Old: u.ID + "1", User: jane, CreatedAt: start, ExpiresAt: until,
			})
		}, here},
	} {
		john := addUser(t, s, "john."+strings.ReplaceAll(name, " ", "."))
		addSession(t, s, john.ID+"1", john)
		addSession(t, s, john.ID+"2", john)
		addOpenIDGrant(t, s, john.ID+"1", john, a)
		addOpenIDGrant(t, s, john.ID+"1", john, a) // a second login there makes no second notice
		addOpenIDGrant(t, s, john.ID+"1", john, b)
		addOpenIDGrant(t, s, john.ID+"1", john, quiet)
		addOpenIDGrant(t, s, john.ID+"2", john, a)
		must(t, tt.end(john))
		want := []string{}
		for _, text := range tt.want {
			id, session, _ := strings.Cut(text, " ")
			want = append(want, told(id, john, john.ID+session))
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, takeNotices(t, s, start)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func testNoNotices(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c, gone := addUser(t, s, "john.doe"), addTold(t, s, "app"), addTold(t, s, "gone")
	addSession(t, s, "session", u)
	addSessionGrant(t, s, "session", u, c) // without an ID token
	addGrant(t, s, u, c)                   // without a session
	addOpenIDGrant(t, s, "session", u, gone)
	must(t, s.DeleteClient(ctx, "gone", start))
	must(t, s.DisableUser(ctx, "john.doe", start))
	same(t, "notices", []string{}, takeNotices(t, s, start))
}

func testNoticeAfterRevocation(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addTold(t, s, "app")
	for i, end := range []func(digest string) error{
		func(digest string) error { return s.DeleteSession(ctx, digest, true, start) },
		func(string) error { return s.LogOut(ctx, "john.doe", "", start) },
	} {
		digest := "session " + strconv.Itoa(i)
		addSession(t, s, digest, u)
		g := addOpenIDGrant(t, s, digest, u, c)
		_, err := s.RevokeGrant(ctx, g.Number, start)
		must(t, err)
		must(t, end(digest))
		same(t, "notices", []string{told("app", u, digest)}, takeNotices(t, s, start))
	}
	// Nobody is told twice of a session that ended before, also if the user logs in again in the same browser.
	must(t, s.LogOut(ctx, "john.doe", "", start))
	same(t, "notices of an earlier logout", []string{}, takeNotices(t, s, start))
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "session 2", Old: "session 1", User: u, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}))
	must(t, s.DeleteSession(ctx, "session 2", true, start))
	same(t, "notices of an earlier session", []string{}, takeNotices(t, s, start))

	// A login in the same browser goes on with the session, and the client is still told.
	addSession(t, s, "session 3", u)
	g := addOpenIDGrant(t, s, "session 3", u, c)
	_, err := s.RevokeGrant(ctx, g.Number, start)
	must(t, err)
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "session 4", Old: "session 3", User: u, CreatedAt: start, ExpiresAt: start.Add(sessionLength),
	}))
	must(t, s.DeleteSession(ctx, "session 4", true, start))
	same(t, "notices of a session that went on", []string{told("app", u, "session 3")}, takeNotices(t, s, start))
}

// A login in the same browser makes the session longer.
func testGrantOfSessionIsKept(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addTold(t, s, "app")
	addSession(t, s, "old", u)
	known, other := addOpenIDGrant(t, s, "old", u, c), addSessionGrant(t, s, "old", u, c)
	until := start.Add(2 * sessionLength)
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: "new", Old: "old", User: u, CreatedAt: start, ExpiresAt: until,
	}))
	known.Session, known.ExpiresAt, other.Session = "new", until, "new"
	expectGrant(t, s, known)
	expectGrant(t, s, other)
}

// addNotices ends n sessions that a client knows, and so adds n notices.
func addNotices(t testing.TB, s *store.Store, u account.User, c client.Client, n int) {
	t.Helper()
	for i := range n {
		digest := c.ID + " " + strconv.Itoa(i)
		addSession(t, s, digest, u)
		addOpenIDGrant(t, s, digest, u, c)
		must(t, s.DeleteSession(t.Context(), digest, true, start))
	}
}

func testLeaseOfNotice(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addTold(t, s, "app")
	addNotices(t, s, u, c, 1)
	take := func(after time.Duration, wantAttempts int64) grant.LogoutNotice {
		t.Helper()
		at := start.Add(after)
		taken, err := s.TakeLogoutNotices(ctx, at, at.Add(time.Minute), 4, 16)
		must(t, err)
		switch {
		case wantAttempts == 0 && len(taken) == 0:
			return grant.LogoutNotice{}
		case len(taken) != 1 || taken[0].Attempts != wantAttempts:
			t.Fatalf("after %v: took %+v, want attempt %d", after, taken, wantAttempts)
		}
		return taken[0]
	}
	take(-time.Second, 0)
	first := take(0, 1)
	take(59*time.Second, 0)
	second := take(time.Minute, 2) // the server that took it first has stopped
	must(t, s.PostponeLogoutNotice(ctx, first, start))
	must(t, s.ReturnLogoutNotice(ctx, first, start))
	must(t, s.DeleteLogoutNotice(ctx, first))
	take(time.Minute+time.Second, 0)
	must(t, s.PostponeLogoutNotice(ctx, second, start.Add(time.Hour)))
	take(time.Hour-time.Second, 0)
	must(t, s.ReturnLogoutNotice(ctx, take(time.Hour, 3), start.Add(2*time.Hour)))
	take(2*time.Hour-time.Second, 0)
	third := take(2*time.Hour, 3) // an attempt that was not made does not count
	must(t, s.DeleteLogoutNotice(ctx, third))
	must(t, s.DeleteLogoutNotice(ctx, third)) // it is deleted already
	take(24*time.Hour, 0)
}

func testNoticesPerClient(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u := addUser(t, s, "john.doe")
	addNotices(t, s, u, addTold(t, s, "busy"), 10)
	addNotices(t, s, u, addTold(t, s, "first"), 1)
	addNotices(t, s, u, addTold(t, s, "second"), 1)
	for _, want := range []map[string]int{
		{"busy": 2, "first": 1, "second": 1}, {"busy": 3}, {"busy": 3}, {"busy": 2}, {},
	} {
		taken, err := s.TakeLogoutNotices(ctx, start, start.Add(time.Minute), 3, 4)
		must(t, err)
		got := map[string]int{}
		for _, n := range taken {
			got[n.ClientID]++
		}
		same(t, "notices by client", want, got)
	}
}

// Of many servers that take notices at once, each gets others.
func testRaceForNotices(t *testing.T, s *store.Store) {
	const notices = 20
	addNotices(t, s, addUser(t, s, "john.doe"), addTold(t, s, "app"), notices)
	var mu sync.Mutex
	winners := map[int64]int{}
	errs := atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		for range notices {
			taken, err := s.TakeLogoutNotices(ctx, start, start.Add(time.Minute), 2, 2)
			if err != nil {
				return err
			}
			mu.Lock()
			for _, n := range taken {
				winners[n.ID]++
			}
			mu.Unlock()
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	if len(winners) != notices {
		t.Errorf("%d notices were taken, want %d", len(winners), notices)
	}
	for id, n := range winners {
		if n != 1 {
			t.Errorf("%d servers took the notice %d", n, id)
		}
	}
}

// However many end a session at once, the client is told once.
func testRaceToEndSession(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addTold(t, s, "app")
	addSession(t, s, "session", u)
	addOpenIDGrant(t, s, "session", u, c)
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			return s.LogOut(ctx, "john.doe", "", start)
		}
		return s.DeleteSession(ctx, "session", true, start)
	}) {
		must(t, err)
	}
	same(t, "notices", []string{told("app", u, "session")}, takeNotices(t, s, start))
}
