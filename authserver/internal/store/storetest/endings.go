package storetest

import (
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var endingTests = []test{
	{"a logout ends every login of the user", testLogOut},
	{"a logout of one client leaves the other logins", testLogOutOfClient},
	{"a logout of nobody", testLogOutOfNobody},
	{"logins are counted", testCountLogins},
	{"logins that have expired are not counted", testCountExpiredLogins},
}

// loggedIn adds a user with a login at two clients, a browser session and a code for the first client.
func loggedIn(t *testing.T, s *store.Store) (first, second grant.Grant) {
	t.Helper()
	u := addUser(t, s, "john.doe")
	first, second = addGrant(t, s, u, addClient(t, s, "first")), addGrant(t, s, u, addClient(t, s, "second"))
	addSession(t, s, "session", u)
	for _, id := range []string{"first", "second"} {
		must(t, s.CreateCode(t.Context(), grant.Code{
			Digest: "code of " + id, ClientID: id, UserID: u.ID, Session: "session",
			CreatedAt: start, ExpiresAt: start.Add(grant.CodeLifetime),
		}))
	}
	return first, second
}

// redeem redeems the code of a client.
func redeem(t *testing.T, s *store.Store, like grant.Grant) error {
	t.Helper()
	like.Type = oauth.GrantAuthorizationCode
	_, err := s.RedeemCode(t.Context(), "code of "+like.ClientID, like)
	return err
}

func testLogOut(t *testing.T, s *store.Store) {
	first, second := loggedIn(t, s)
	other := addGrant(t, s, addUser(t, s, "jane.smith"), newClient("first"))
	at := start.Add(time.Minute)
	must(t, s.LogOut(t.Context(), "john.doe", "", at))
	expectGrant(t, s, revokedAt(first, at))
	expectGrant(t, s, revokedAt(second, at))
	expectGrant(t, s, other)
	_, _, err := s.SessionUser(t.Context(), "session", start)
	expect(t, "the browser session", err, record.ErrNotFound)
	expect(t, "a code", redeem(t, s, first), grant.ErrCodeUnknown)
	user, err := s.UserByUsername(t.Context(), "john.doe")
	must(t, err)
	if !user.Active() {
		t.Error("the user is disabled")
	}
	expectGrant(t, s, addGrant(t, s, user, newClient("first"))) // logging in again
}

func testLogOutOfClient(t *testing.T, s *store.Store) {
	first, second := loggedIn(t, s)
	at := start.Add(time.Minute)
	must(t, s.LogOut(t.Context(), "john.doe", "first", at))
	expectGrant(t, s, revokedAt(first, at))
	expectGrant(t, s, second)
	_, _, err := s.SessionUser(t.Context(), "session", start)
	expect(t, "the browser session", err, nil)
	expect(t, "a code of the client", redeem(t, s, first), grant.ErrCodeUnknown)
	expect(t, "a code of the other client", redeem(t, s, second), nil)
}

func testLogOutOfNobody(t *testing.T, s *store.Store) {
	first, _ := loggedIn(t, s)
	for _, tt := range []struct{ username, clientID string }{
		{"nobody", ""}, {"nobody", "first"}, {"john.doe", "nothing"}, {"John.Doe", ""}, {"", ""},
	} {
		err := s.LogOut(t.Context(), tt.username, tt.clientID, start)
		expect(t, "logout of "+tt.username+" from "+tt.clientID, err, record.ErrNotFound)
	}
	expectGrant(t, s, first)
}

func testCountLogins(t *testing.T, s *store.Store) {
	first, _ := loggedIn(t, s)
	serviceGrant(t, s, "first", start)
	addGrant(t, s, addUser(t, s, "jane.smith"), newClient("first"))
	for _, tt := range []struct {
		of   store.LoginsOf
		at   time.Time
		want store.Logins
	}{
		{store.LoginsOf{}, start, store.Logins{Grants: 3}},
		{store.LoginsOf{Username: "john.doe"}, start, store.Logins{Grants: 2, Browsers: 1}},
		{store.LoginsOf{Username: "john.doe", ClientID: "first"}, start, store.Logins{Grants: 1}},
		{store.LoginsOf{ClientID: "first"}, start, store.Logins{Grants: 2}},
		{store.LoginsOf{Audience: "https://api.example"}, start, store.Logins{}},
		{store.LoginsOf{Username: "nobody"}, start, store.Logins{}},
		{store.LoginsOf{Username: "john.doe"}, start.AddDate(1, 0, 0), store.Logins{}},
	} {
		got, err := s.CountLogins(t.Context(), tt.of, tt.at)
		must(t, err)
		same(t, "logins", tt.want, got)
	}
	_, err := s.RevokeGrant(t.Context(), first.Number, start)
	must(t, err)
	got, err := s.CountLogins(t.Context(), store.LoginsOf{Username: "john.doe"}, start)
	must(t, err)
	same(t, "logins after one was revoked", store.Logins{Grants: 1, Browsers: 1}, got)
}

// The row of a grant is kept for longer than its refresh token is valid.
func testCountExpiredLogins(t *testing.T, s *store.Store) {
	g := addRefreshable(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	next, expiry := rotated(g.Refresh, "second", start), start.Add(time.Hour)
	next.ExpiresAt = expiry
	_, err := s.RotateRefresh(t.Context(), g, next, start, expiry)
	must(t, err)
	for at, want := range map[time.Time]int64{expiry.Add(-time.Second): 1, expiry: 0} {
		got, err := s.CountLogins(t.Context(), store.LoginsOf{}, at)
		must(t, err)
		same(t, "logins at "+at.String(), store.Logins{Grants: want}, got)
	}
}
