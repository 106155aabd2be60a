package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var grantTests = []test{
	{"a grant is read back unchanged", testGrantRoundTrip},
	{"a grant sets the time of the last login", testGrantSetsLastLogin},
	{"a disabled or deleted user starts no grant", testGrantOfInactiveUser},
	{"a deleted client gets no grant", testGrantToMissingClient},
	{"a replaced secret starts no grant", testGrantWithReplacedSecret},
	{"unknown grant numbers", testNoGrant},
	{"a grant is read with its user", testGrantWithUser},
	{"grant numbers grow and are never reused", testNumbersGrow},
	{"expired grants are swept", testSweepGrants},
	{"expired grants of services are swept", testSweepServiceGrants},
	{"grants whose refresh token has expired unused are swept", testSweepIdleGrants},
}

func testGrantRoundTrip(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	full := newGrant(u, c)
	full.Scope = oauth.Scope{"profile", "items:read"}
	expectGrant(t, s, startGrant(t, s, full))
	full.Authentication = authenticated
	expectGrant(t, s, startGrant(t, s, full))
	bare := newGrant(u, c)
	bare.Scope = nil
	expectGrant(t, s, startGrant(t, s, bare))
}

func testGrantSetsLastLogin(t *testing.T, s *store.Store) {
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	for _, at := range []time.Time{start, start.Add(time.Hour)} {
		g := newGrant(u, c)
		g.CreatedAt, g.ExpiresAt = at, at.Add(lifetime)
		startGrant(t, s, g)
		u.LastLoginAt = at
		expectUser(t, s, u)
	}
	expectUser(t, s, other)
}

func testGrantOfInactiveUser(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	must(t, s.DisableUser(t.Context(), u.Username, start))
	_, err := s.StartGrant(t.Context(), newGrant(u, c))
	expect(t, "a disabled user", err, grant.ErrInactive)

	u.DisabledAt = start
	expectUser(t, s, u) // with the last login unchanged

	must(t, s.DeleteUser(t.Context(), u.Username, start))
	_, err = s.StartGrant(t.Context(), newGrant(u, c))
	expect(t, "a deleted user", err, grant.ErrInactive)
	_, err = s.StartGrant(t.Context(), newGrant(account.User{ID: account.IDPrefix + "nobody"}, c))
	expect(t, "an unknown user", err, grant.ErrInactive)
	_, err = s.StartGrant(t.Context(), newGrant(account.User{}, c))
	expect(t, "no user", err, grant.ErrInactive)
}

func testGrantToMissingClient(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	must(t, s.DeleteClient(t.Context(), c.ID, start))
	_, err := s.StartGrant(t.Context(), newGrant(u, c))
	expect(t, "a deleted client", err, grant.ErrClientChanged)
	_, err = s.StartGrant(t.Context(), newGrant(u, newClient("nobody")))
	expect(t, "an unknown client", err, grant.ErrClientChanged)
	expectUser(t, s, u) // with the last login unchanged
}

// A server may know the previous secret for a moment. Who authenticates with it gets no grant, and not
// the one that the service has started with its new secret either.
func testGrantWithReplacedSecret(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	code := addCode(t, s, "code", u, c)
	ended := serviceGrant(t, s, c.ID, start)
	must(t, s.ReplaceClientSecret(ctx, c.ID, "another digest", start))
	number, err := s.ServiceGrant(ctx, c.ID, "another digest", start)
	must(t, err)
	if number == ended {
		t.Error("the new secret gets the revoked grant")
	}

	_, err = s.StartGrant(ctx, newGrant(u, c))
	expect(t, "a login with the previous secret", err, grant.ErrClientChanged)
	_, err = s.RedeemCode(ctx, code.Digest, grantOf(code))
	expect(t, "redeeming with the previous secret", err, grant.ErrClientChanged)
	for _, digest := range []string{c.SecretDigest, ""} {
		_, err = s.ServiceGrant(ctx, c.ID, digest, start)
		expect(t, "the grant of the service with the secret "+digest, err, grant.ErrClientChanged)
	}
	expectUser(t, s, u) // with the last login unchanged

	g := grantOf(code)
	g.SecretDigest = "another digest"
	_, err = s.RedeemCode(ctx, code.Digest, g)
	expect(t, "redeeming with the new secret", err, nil)
}

func testNoGrant(t *testing.T, s *store.Store) {
	g := addGrant(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	for _, number := range []int64{0, -1, g.Number + 1, 1 << 40} {
		_, err := s.GrantByNumber(t.Context(), number)
		expect(t, "an unknown grant number", err, record.ErrNotFound)
	}
}

func testGrantWithUser(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, other, c := addUser(t, s, "john.doe"), addUser(t, s, "jane.smith"), addClient(t, s, "app")
	g, others := addRefreshable(t, s, u, c), addGrant(t, s, other, c)
	check := func(number int64) {
		t.Helper()
		g, user, err := s.GrantWithUser(ctx, number)
		must(t, err)
		expectGrant(t, s, g)
		var want account.User
		if g.UserID != "" {
			want, err = s.UserByID(ctx, g.UserID)
			must(t, err)
		}
		same(t, "user", want, user)
	}
	check(g.Number)
	check(others.Number)
	check(serviceGrant(t, s, c.ID, start))
	must(t, s.DisableUser(ctx, u.Username, start))
	check(g.Number)
	must(t, s.DeleteUser(ctx, u.Username, start))
	check(g.Number)
	_, _, err := s.GrantWithUser(ctx, 1<<40)
	expect(t, "an unknown grant number", err, record.ErrNotFound)
}

// A number is an index in a status list: a grant with a reused number could start revoked, or
// make tokens of a revoked grant valid again.
func testNumbersGrow(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	stale := newGrant(u, c)
	stale.ExpiresAt = start.Add(-time.Hour) // so that it is swept at once
	last := int64(0)
	for i := range 10 {
		g := newGrant(u, c)
		if i%2 == 0 {
			g = stale
		}
		g = startGrant(t, s, g)
		if g.Number <= last {
			t.Fatalf("number %d was given after %d", g.Number, last)
		}
		last = g.Number
		_, err := s.GrantByNumber(t.Context(), g.Number)
		if i%2 == 0 {
			expect(t, "a swept grant", err, record.ErrNotFound)
		} else {
			expect(t, "a live grant", err, nil)
		}
	}
}

func testSweepServiceGrants(t *testing.T, s *store.Store) {
	c := addClient(t, s, "service")
	var numbers []int64
	for i := range 6 {
		at := start.Add(time.Duration(i) * 48 * time.Hour)
		number, err := s.ServiceGrant(t.Context(), c.ID, c.SecretDigest, at)
		must(t, err)
		numbers = append(numbers, number)
		revoked, err := s.RevokeGrant(t.Context(), number, at)
		must(t, err)
		same(t, "revoked", true, revoked)
	}
	for i, number := range numbers { // the last one swept the one before it
		_, err := s.GrantByNumber(t.Context(), number)
		want := record.ErrNotFound
		if i == len(numbers)-1 {
			want = nil
		}
		expect(t, "an earlier grant of the service", err, want)
	}
}

func testSweepGrants(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	revoked := addGrant(t, s, addUser(t, s, "jane.smith"), c)
	must(t, s.DisableUser(t.Context(), "jane.smith", start))
	revoked = revokedAt(revoked, start)

	const stale = 10
	var old []grant.Grant
	for i := range stale {
		g := newGrant(u, c)
		g.ExpiresAt = start.Add(time.Duration(i) * time.Second)
		old = append(old, startGrant(t, s, g))
	}
	now := start.Add(15 * time.Minute)
	justExpired := newGrant(u, c)
	justExpired.ExpiresAt = now.Add(-time.Second)
	justExpired = startGrant(t, s, justExpired)

	live := []grant.Grant{justExpired, revoked}
	for range stale / 2 { // each sweeps more than one
		g := newGrant(u, c)
		g.CreatedAt, g.ExpiresAt = now, now.Add(lifetime)
		live = append(live, startGrant(t, s, g))
	}
	for _, g := range old {
		_, err := s.GrantByNumber(t.Context(), g.Number)
		expect(t, "a grant that expired long ago", err, record.ErrNotFound)
	}
	for _, g := range live {
		expectGrant(t, s, g)
	}
}

// Of grants that could be refreshed until long after, those are deleted that were not, when neither a token of them
// nor a session that their client is told the end of can be left. RFC 6749 section 1.5.
func testSweepIdleGrants(t *testing.T, s *store.Store) {
	ctx := t.Context()
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	now := start.Add(idle).Add(grant.MaxTokenLifetime).Add(2 * time.Minute)
	add := func(unusedUntil time.Time, change func(*grant.Grant)) grant.Grant {
		t.Helper()
		g := newGrant(u, c)
		g.Refresh = newRefresh()
		g.ExpiresAt, g.Refresh.ExpiresAt = g.Refresh.EndsAt.Add(time.Hour), unusedUntil
		if change != nil {
			change(&g)
		}
		return startGrant(t, s, g)
	}
	var over, kept []grant.Grant
	must(t, s.StartSession(ctx, store.NewSession{
		Digest: "session", User: u, CreatedAt: start, ExpiresAt: now.Add(time.Hour),
	}))
	for range 150 { // more than a search looks at
		over = append(over, add(start.Add(idle), nil))
	}
	over = append(over,
		add(start.Add(idle), func(g *grant.Grant) { g.Session = "session" }),
		add(start.Add(idle), func(g *grant.Grant) { g.Session, g.Authentication = "ended", authenticated }),
	)
	kept = append(kept,
		add(start.Add(idle), func(g *grant.Grant) { g.Session, g.Authentication = "session", authenticated }),
		add(start.Add(idle).Add(2*time.Minute), nil), // an access token may be left
		add(start.Add(2*idle), nil),
		addGrant(t, s, u, c),
	)
	for range 60 {
		add(start.Add(2*idle), func(g *grant.Grant) { g.CreatedAt = now })
	}
	for i, g := range over {
		if _, err := s.GrantByNumber(ctx, g.Number); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("idle grant %d: %v, want that it is deleted", i, err)
		}
	}
	for _, g := range kept[:3] {
		expectGrant(t, s, g)
	}
	if n := s.Swept()["grants"]; n != int64(len(over))+1 {
		t.Errorf("%d grants counted, want %d", n, len(over)+1)
	}
}

// activeGrants counts the grants that are neither expired nor revoked at start. It reads every
// number below that of a new grant.
func activeGrants(t *testing.T, s *store.Store) int {
	t.Helper()
	last := addGrant(t, s, addUser(t, s, "counter"), addClient(t, s, "counter"))
	count := 0
	for number := range last.Number {
		g, err := s.GrantByNumber(t.Context(), number)
		if errors.Is(err, record.ErrNotFound) {
			continue
		}
		must(t, err)
		if g.RevokedAt.IsZero() && !g.ExpiresAt.Before(start) {
			count++
		}
	}
	return count
}
