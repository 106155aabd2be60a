package storetest

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var revocationTests = []test{
	{"revoked grants are listed, whatever revoked them", testRevokedSince},
	{"revoked grants are listed page by page", testRevokedAfter},
	{"a revoked grant is kept until its last token has expired", testRevokedUntil},
	{"the last grant has the highest number", testLastGrant},
}

// revokedSince returns the sorted numbers of the grants that were revoked at since or later.
func revokedSince(t testing.TB, s *store.Store, since time.Time) []int64 {
	t.Helper()
	numbers, _, err := s.RevokedAfter(t.Context(), since, 0, 1000)
	must(t, err)
	slices.Sort(numbers)
	return numbers
}

// Pages list each grant once, even if more were revoked in one second than fit on a page.
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
		same(t, "revoked grants in pages of "+strconv.Itoa(limit), want, got)
	}
}

// session is a user's session with a client and the grant that was started in it.
type session struct {
	store  *store.Store
	user   account.User
	client client.Client
	digest string
	grant  int64
}

// endings are the ways to revoke the grant of a session.
var endings = map[string]func(ctx context.Context, x session, now time.Time) error{
	"a revocation": func(ctx context.Context, x session, now time.Time) error {
		_, err := x.store.RevokeGrant(ctx, x.grant, now)
		return err
	},
	"a new password": func(ctx context.Context, x session, now time.Time) error {
		return x.store.SetPassword(ctx, x.user.Username, "another hash", now)
	},
	"disabling the user": func(ctx context.Context, x session, now time.Time) error {
		return x.store.DisableUser(ctx, x.user.Username, now)
	},
	"deleting the user": func(ctx context.Context, x session, now time.Time) error {
		return x.store.DeleteUser(ctx, x.user.Username, now)
	},
	"deleting the client": func(ctx context.Context, x session, now time.Time) error {
		return x.store.DeleteClient(ctx, x.client.ID, now)
	},
	"revoking the consent": func(ctx context.Context, x session, now time.Time) error {
		return x.store.RevokeConsent(ctx, x.user.ID, x.client.ID, now)
	},
	"a logout": func(ctx context.Context, x session, now time.Time) error {
		return x.store.DeleteSession(ctx, x.digest, true, now)
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
		must(t, end(t.Context(), session{s, u, c, what, g.Number}, at))
		same(t, "revoked by "+what, []int64{g.Number}, revokedSince(t, s, at))
		same(t, "revoked after "+what, []int64{}, revokedSince(t, s, at.Add(time.Second)))
		got, err := s.GrantByNumber(t.Context(), g.Number)
		must(t, err)
		same(t, "kept until, after "+what, revokedAt(g, at).ExpiresAt, got.ExpiresAt)
	}
	same(t, "number of revoked grants", len(endings), len(revokedSince(t, s, start)))
}

// A revoked grant is kept for the longest lifetime of an access token, whatever its own expiry
// was, and is swept after that.
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
	same(t, "revoked grants while tokens may be valid", want, revokedSince(t, s, start))
	startAt(start.Add(grant.MaxTokenLifetime + 2*time.Minute))
	same(t, "revoked grants when all tokens have expired", []int64{}, revokedSince(t, s, start))
	for _, number := range want {
		_, err := s.GrantByNumber(ctx, number)
		expect(t, "a grant that was revoked long ago", err, record.ErrNotFound)
	}
}

func testLastGrant(t *testing.T, s *store.Store) {
	last := func() int64 {
		number, err := s.LastGrant(t.Context())
		must(t, err)
		return number
	}
	same(t, "number without grants", int64(0), last())
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	for range 3 {
		same(t, "last number", addGrant(t, s, u, c).Number, last())
	}
	number := serviceGrant(t, s, c.ID, start)
	same(t, "last number", number, last())
	must(t, s.DeleteUser(t.Context(), u.Username, start))
	must(t, s.DeleteClient(t.Context(), c.ID, start))
	same(t, "last number after the user and the client were deleted", number, last())
}
