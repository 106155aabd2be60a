package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var refreshTests = []test{
	{"the state of refresh tokens is read back unchanged", testRefreshRoundTrip},
	{"a rotation keeps a grant for as long as needed", testRotateKeeps},
	{"only the current token of an active grant is rotated", testRotateFails},
	{"concurrent rotations of a refresh token", testRaceToRotate},
	{"concurrent rotation and revocation", testRaceToRotateAndRevoke},
	{"revoking a grant reports once and keeps the row", testRevokeGrant},
	{"concurrent revocations of a grant", testRaceToRevoke},
	{"a service has one grant until it is revoked", testServiceGrant},
	{"a deleted service has no grant", testServiceGrantOfMissingClient},
	{"concurrent requests for the grant of a service", testRaceForServiceGrant},
	{"replacing a secret while services get grants", testServiceGrantsDuringReplacement},
}

// idle is how far a rotation extends the grants of these tests.
const idle = 30 * 24 * time.Hour

// newRefresh returns the state of the first refresh token of a grant.
func newRefresh() grant.Refresh {
	end := start.Add(6 * idle)
	return grant.Refresh{Family: "family", Current: "first", EndsAt: end, ExpiresAt: end}
}

// addRefreshable starts a grant with a refresh token.
func addRefreshable(t testing.TB, s *store.Store, u account.User, c client.Client) grant.Grant {
	t.Helper()
	g := newGrant(u, c)
	g.Refresh = newRefresh()
	return startGrant(t, s, g)
}

// rotated returns the state of refresh tokens after the current one was replaced by next.
func rotated(r grant.Refresh, next string, at time.Time) grant.Refresh {
	used := grant.ReplacedToken{Digest: r.Current, Seed: []byte("\x00\xff seed of " + next), At: at.UnixMilli()}
	replaced := append(append([]grant.ReplacedToken{}, r.Replaced...), used)
	return grant.Refresh{Family: r.Family, Current: next, Replaced: replaced, EndsAt: r.EndsAt, ExpiresAt: r.ExpiresAt}
}

func testRefreshRoundTrip(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g, other := addRefreshable(t, s, u, c), addRefreshable(t, s, u, c)
	g.Audience, g.Session = "https://api.example", "session"
	g = startGrant(t, s, g)
	expectGrant(t, s, g)
	for i := range 64 { // the longest trail
		now := start.Add(time.Duration(i) * time.Second)
		next := rotated(g.Refresh, "token "+strconv.Itoa(i), now)
		ok, err := s.RotateRefresh(t.Context(), g, next, now, now.Add(idle))
		must(t, err)
		same(t, "rotated", true, ok)
		g.Refresh, g.ExpiresAt = next, now.Add(idle)
		expectGrant(t, s, g)
	}
	bare := g.Refresh
	bare.Current, bare.Replaced = "without a trail", nil
	_, err := s.RotateRefresh(t.Context(), g, bare, start, g.ExpiresAt)
	must(t, err)
	g.Refresh = bare
	expectGrant(t, s, g)
	expectGrant(t, s, other)
}

func testRotateKeeps(t *testing.T, s *store.Store) {
	g := addRefreshable(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	for _, tt := range []struct{ needed, want time.Duration }{
		{idle, idle},                              // longer than before
		{idle, idle},                              // the same
		{idle + time.Second, idle + 1e9},          // a second longer
		{idle - time.Hour, idle + 1e9},            // kept for that long already
		{idle + 900*time.Millisecond, idle + 1e9}, // the database has seconds
	} {
		next := rotated(g.Refresh, g.Refresh.Current+"+", start)
		ok, err := s.RotateRefresh(t.Context(), g, next, start, start.Add(tt.needed))
		must(t, err)
		same(t, "rotated", true, ok)
		g.Refresh, g.ExpiresAt = next, start.Add(tt.want)
		expectGrant(t, s, g)
	}
}

func testRotateFails(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g, revoked, without := addRefreshable(t, s, u, c), addRefreshable(t, s, u, c), addGrant(t, s, u, c)
	revoked = revokedAt(revoked, start)
	_, err := s.RevokeGrant(ctx, revoked.Number, revoked.RevokedAt)
	must(t, err)
	next := rotated(newRefresh(), "second", start)
	for name, tt := range map[string]struct {
		number  int64
		current string
		now     time.Time
	}{
		"another digest":                {g.Number, "second", start},
		"no digest":                     {g.Number, "", start},
		"the family's digest":           {g.Number, "family", start},
		"an expired token":              {g.Number, "first", g.Refresh.ExpiresAt},
		"a revoked grant":               {revoked.Number, "first", start},
		"a grant without refresh token": {without.Number, "first", start},
		"an unknown grant":              {1 << 40, "first", start},
		"grant 0":                       {0, "first", start},
	} {
		for _, kept := range []time.Time{g.ExpiresAt, start.Add(idle)} { // with and without extending it
			was := grant.Grant{Number: tt.number, ExpiresAt: kept, Refresh: grant.Refresh{Current: tt.current}}
			ok, err := s.RotateRefresh(ctx, was, next, tt.now, start.Add(idle))
			must(t, err)
			if ok {
				t.Errorf("%s: rotated", name)
			}
		}
	}
	for _, unchanged := range []grant.Grant{g, revoked, without} {
		expectGrant(t, s, unchanged)
	}
	ok, err := s.RotateRefresh(ctx, g, next, g.Refresh.ExpiresAt.Add(-time.Second), start.Add(idle))
	must(t, err)
	same(t, "rotated in the last second before it expires", true, ok)
}

// Of many concurrent uses of a token, one replaces it, and its successor stays valid.
func testRaceToRotate(t *testing.T, s *store.Store) {
	g := addRefreshable(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	for round := range 8 {
		var winners atomic.Int64
		var winner atomic.Int64
		next := func(i int) grant.Refresh {
			return rotated(g.Refresh, strconv.Itoa(round)+"/"+strconv.Itoa(i), start)
		}
		for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
			ok, err := s.RotateRefresh(ctx, g, next(i), start, start.Add(idle))
			if ok {
				winners.Add(1)
				winner.Store(int64(i))
			}
			return err
		}) {
			must(t, err)
		}
		same(t, "winners", int64(1), winners.Load())
		g.Refresh, g.ExpiresAt = next(int(winner.Load())), start.Add(idle)
		expectGrant(t, s, g)
	}
}

// A rotation after the revocation changes nothing. In particular it does not extend the grant.
func testRaceToRotateAndRevoke(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	for range 8 {
		g := addRefreshable(t, s, u, c)
		for _, err := range atOnce(t.Context(), 2, func(ctx context.Context, i int) error {
			if i == 0 {
				_, err := s.RevokeGrant(ctx, g.Number, start)
				return err
			}
			_, err := s.RotateRefresh(ctx, g, rotated(newRefresh(), "second", start), start, start.Add(idle))
			return err
		}) {
			must(t, err)
		}
		got, err := s.GrantByNumber(t.Context(), g.Number)
		must(t, err)
		if got.RevokedAt.IsZero() || !got.ExpiresAt.Equal(start.Add(grant.MaxTokenLifetime)) {
			t.Errorf("revoked at %v, kept until %v", got.RevokedAt, got.ExpiresAt)
		}
	}
}

func testRevokeGrant(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	g, other := addRefreshable(t, s, u, c), addRefreshable(t, s, u, c)
	revoked := start.Add(time.Minute)
	was, err := s.RevokeGrant(ctx, g.Number, revoked)
	must(t, err)
	same(t, "was active", true, was)
	for _, number := range []int64{g.Number, 0, -1, 1 << 40} {
		was, err = s.RevokeGrant(ctx, number, revoked.Add(time.Hour))
		must(t, err)
		same(t, "was active", false, was)
	}
	g = revokedAt(g, revoked)
	expectGrant(t, s, g)
	expectGrant(t, s, other)
}

func testRaceToRevoke(t *testing.T, s *store.Store) {
	g := addRefreshable(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	var active atomic.Int64
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		was, err := s.RevokeGrant(ctx, g.Number, start)
		if was {
			active.Add(1)
		}
		return err
	}) {
		must(t, err)
	}
	same(t, "number of calls that revoked the grant", int64(1), active.Load())
}

// serviceGrant returns the number of a client's own grant at a time.
func serviceGrant(t testing.TB, s *store.Store, clientID string, at time.Time) int64 {
	t.Helper()
	number, err := s.ServiceGrant(t.Context(), clientID, digestOf(clientID), at)
	must(t, err)
	return number
}

// All tokens of a service share one grant.
func testServiceGrant(t *testing.T, s *store.Store) {
	addClient(t, s, "service")
	addClient(t, s, "other")
	addGrant(t, s, addUser(t, s, "john.doe"), newClient("service")) // a user's grant at the client is another one
	number := serviceGrant(t, s, "service", start)
	want := grant.Grant{
		Number: number, Type: oauth.GrantClientCredentials, ClientID: "service", CreatedAt: start,
		ExpiresAt: time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC),
	}
	expectGrant(t, s, want)
	same(t, "number a year later", number, serviceGrant(t, s, "service", start.AddDate(1, 0, 0)))
	expectGrant(t, s, want)
	if other := serviceGrant(t, s, "other", start); other == number {
		t.Errorf("two services share grant %d", number)
	}

	revoked := start.Add(time.Hour)
	_, err := s.RevokeGrant(t.Context(), number, revoked)
	must(t, err)
	next := serviceGrant(t, s, "service", revoked)
	if next <= number {
		t.Errorf("grant %d after grant %d, want a higher number", next, number)
	}
	same(t, "number on the next call", next, serviceGrant(t, s, "service", revoked))
	want = revokedAt(want, revoked)
	expectGrant(t, s, want)
}

func testServiceGrantOfMissingClient(t *testing.T, s *store.Store) {
	addClient(t, s, "service")
	number := serviceGrant(t, s, "service", start)
	must(t, s.DeleteClient(t.Context(), "service", start))
	for _, id := range []string{"service", "nobody", ""} {
		_, err := s.ServiceGrant(t.Context(), id, digestOf(id), start)
		expect(t, "a grant for "+id, err, grant.ErrClientChanged)
	}
	g, err := s.GrantByNumber(t.Context(), number)
	must(t, err)
	if g.RevokedAt.IsZero() {
		t.Error("the grant of a deleted service is not revoked")
	}
	addClient(t, s, "service")
	if again := serviceGrant(t, s, "service", start); again == number {
		t.Error("a new service has the grant of the deleted one")
	}
}

func testRaceForServiceGrant(t *testing.T, s *store.Store) {
	addClient(t, s, "service")
	last := int64(0)
	for range 4 { // the first grant, and three after a revocation
		var mu sync.Mutex
		numbers := map[int64]bool{}
		for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
			number, err := s.ServiceGrant(ctx, "service", digestOf("service"), start)
			mu.Lock()
			defer mu.Unlock()
			numbers[number] = true
			return err
		}) {
			must(t, err)
		}
		same(t, "different numbers", 1, len(numbers))
		number := serviceGrant(t, s, "service", start)
		if number <= last {
			t.Errorf("grant %d after grant %d, want a higher number", number, last)
		}
		last = number
		_, err := s.RevokeGrant(t.Context(), number, start)
		must(t, err)
	}
}

// Whatever the order, no service that has the previous secret gets a grant that stays active.
func testServiceGrantsDuringReplacement(t *testing.T, s *store.Store) {
	c := addClient(t, s, "service")
	for round := range 8 {
		next := "digest " + strconv.Itoa(round)
		numbers := make([]int64, racers)
		for i, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) (err error) {
			if i == racers/2 {
				return s.ReplaceClientSecret(ctx, c.ID, next, start)
			}
			numbers[i], err = s.ServiceGrant(ctx, c.ID, c.SecretDigest, start)
			return err
		}) {
			if !errors.Is(err, grant.ErrClientChanged) || i == racers/2 {
				must(t, err)
			}
		}
		for _, number := range numbers {
			if number == 0 {
				continue
			}
			g, err := s.GrantByNumber(t.Context(), number)
			must(t, err)
			same(t, "revocation time", start, g.RevokedAt)
		}
		c.SecretDigest = next
	}
}
