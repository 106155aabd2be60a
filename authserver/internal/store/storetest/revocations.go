package storetest

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var revocationTests = []test{
	{"whatever ends a grant, its number is known", testRevokedSince},
	{"revoked grants are found page by page", testRevokedAfter},
	{"the number of a revoked grant is known until its last token has expired", testRevokedUntil},
	{"the last grant is the highest number", testLastGrant},
}

// revokedSince returns the numbers of the grants that were revoked since, in order.
func revokedSince(t testing.TB, s *store.Store, since time.Time) []int64 {
	t.Helper()
	numbers, _, err := s.RevokedAfter(t.Context(), since, 0, 1000)
	must(t, err)
	slices.Sort(numbers)
	return numbers
}

// However many were revoked in one second, page after page finds each of them once.
func testRevokedAfter(t *testing.T, s *store.Store) {
	const seconds, each = 3, 5
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	want := make([]int64, seconds*each)
	for i := range seconds * each {
		number := addGrant(t, s, u, c).Number
		want[i%seconds*each+i/seconds] = number
		_, err := s.RevokeGrant(t.Context(), number, start.Add(time.Duration(i%seconds)*time.Second))
		must(t, err)
	}
	addGrant(t, s, u, c)
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []int64
		for at, after := start, int64(0); ; {
			numbers, last, err := s.RevokedAfter(t.Context(), at, after, limit)
			must(t, err)
			if len(numbers) == 0 {
				break
			}
			got = append(got, numbers...)
			at, after = last, numbers[len(numbers)-1]
		}
		same(t, "revoked, "+strconv.Itoa(limit)+" at a time", want, got)
	}
}

// endings are all that ends grants. Each gets a user, a client and a session of theirs,
// and a grant of the user to the client in the session.
var endings = map[string]func(t *testing.T, s *store.Store, u account.User, c client.Client, session string, number int64, now time.Time){
	"a revocation": func(t *testing.T, s *store.Store, _ account.User, _ client.Client, _ string, number int64, now time.Time) {
		_, err := s.RevokeGrant(t.Context(), number, now)
		must(t, err)
	},
	"a new password": func(t *testing.T, s *store.Store, u account.User, _ client.Client, _ string, _ int64, now time.Time) {
		must(t, s.SetPassword(t.Context(), u.Username, "another hash", now))
	},
	"disabling the user": func(t *testing.T, s *store.Store, u account.User, _ client.Client, _ string, _ int64, now time.Time) {
		must(t, s.DisableUser(t.Context(), u.Username, now))
	},
	"deleting the user": func(t *testing.T, s *store.Store, u account.User, _ client.Client, _ string, _ int64, now time.Time) {
		must(t, s.DeleteUser(t.Context(), u.Username, now))
	},
	"deleting the client": func(t *testing.T, s *store.Store, _ account.User, c client.Client, _ string, _ int64, now time.Time) {
		must(t, s.DeleteClient(t.Context(), c.ID, now))
	},
	"revoking the consent": func(t *testing.T, s *store.Store, u account.User, c client.Client, _ string, _ int64, now time.Time) {
		must(t, s.RevokeConsent(t.Context(), u.ID, c.ID, now))
	},
	"a logout": func(t *testing.T, s *store.Store, _ account.User, _ client.Client, session string, _ int64, now time.Time) {
		must(t, s.DeleteSession(t.Context(), session, true, now))
	},
}

func testRevokedSince(t *testing.T, s *store.Store) {
	keeper, kept := addUser(t, s, "jane.smith"), addClient(t, s, "kept")
	addGrant(t, s, keeper, kept)
	at := start
	for what, end := range endings {
		u, c := addUser(t, s, what), addClient(t, s, what)
		addSession(t, s, what, u)
		g := newGrant(u, c)
		g.Session = what
		g = startGrant(t, s, g)

		at = at.Add(time.Minute)
		same(t, "revoked before "+what, []int64{}, revokedSince(t, s, at))
		end(t, s, u, c, what, g.Number, at)
		same(t, "revoked by "+what, []int64{g.Number}, revokedSince(t, s, at))
		same(t, "revoked after "+what, []int64{}, revokedSince(t, s, at.Add(time.Second)))
		got, err := s.GrantByNumber(t.Context(), g.Number)
		must(t, err)
		same(t, "kept until, after "+what, revokedAt(g, at).ExpiresAt, got.ExpiresAt)
	}
	same(t, "how many were revoked", len(endings), len(revokedSince(t, s, start)))
}

// A revoked grant is kept for as long as an access token of it may live, whatever its own
// end was, that of a service never; and then it is swept.
func testRevokedUntil(t *testing.T, s *store.Store) {
	ctx := t.Context()
	addClient(t, s, "service")
	service := serviceGrant(t, s, "service", start)
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	long := newGrant(u, c)
	long.ExpiresAt = start.AddDate(1, 0, 0)
	long = startGrant(t, s, long)
	short := addGrant(t, s, u, c)
	must(t, s.DeleteUser(ctx, u.Username, start))
	_, err := s.RevokeGrant(ctx, service, start)
	must(t, err)
	want := []int64{service, long.Number, short.Number}

	other := addUser(t, s, "jane.smith")
	startAt := func(now time.Time) {
		g := newGrant(other, c)
		g.CreatedAt, g.ExpiresAt = now, now.Add(100*24*time.Hour)
		startGrant(t, s, g)
	}
	startAt(start.Add(grant.MaxTokenLifetime))
	same(t, "revoked, while tokens may live", want, revokedSince(t, s, start))
	startAt(start.Add(grant.MaxTokenLifetime + 2*time.Minute))
	same(t, "revoked, when all have expired", []int64{}, revokedSince(t, s, start))
	for _, number := range want {
		_, err := s.GrantByNumber(ctx, number)
		expect(t, "a grant that was revoked long ago", err, grant.ErrNotFound)
	}
}

func testLastGrant(t *testing.T, s *store.Store) {
	last := func() int64 {
		number, err := s.LastGrant(t.Context())
		must(t, err)
		return number
	}
	same(t, "number before any", int64(0), last())
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	for range 3 {
		same(t, "last number", addGrant(t, s, u, c).Number, last())
	}
	number := serviceGrant(t, s, c.ID, start)
	same(t, "last number", number, last())
	must(t, s.DeleteUser(t.Context(), u.Username, start))
	must(t, s.DeleteClient(t.Context(), c.ID, start))
	same(t, "last number, when all are gone", number, last())
}
