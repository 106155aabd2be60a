package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var raceTests = []test{
	{"one of many takes a username", testRaceForUsername},
	{"one of many takes a client id", testRaceForClientID},
	{"one of many deletes a user", testRaceToDelete},
	{"every grant gets a number of its own", testRaceForNumbers},
	{"every failure counts", testRaceOfFailures},
	{"one of many replaces a hash", testRaceForHash},
	{"no grant survives a new password", testPasswordDuringLogins},
	{"no grant survives a logout that ends the apps", testLogoutDuringRedemptions},
	{"no grant survives disabling its user", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, func(ctx context.Context) error { return s.DisableUser(ctx, "john.doe", start) })
	}},
	{"no grant survives deleting its user", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, func(ctx context.Context) error { return s.DeleteUser(ctx, "john.doe", start) })
	}},
	{"no grant survives deleting its client", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, func(ctx context.Context) error { return s.DeleteClient(ctx, "app", start) })
	}},
}

// racers is how many goroutines do the same thing at once.
const racers = 16

// patience is how long logins may go on that should have been refused.
const patience = time.Minute

// oneWinner checks that one racer came through and all others got the error.
func oneWinner(t *testing.T, errs []error, lost error) {
	t.Helper()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
		} else {
			expect(t, "a racer who lost", err, lost)
		}
	}
	same(t, "winners", 1, winners)
}

func testRaceForUsername(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		u := newUser("john.doe")
		u.ID = account.IDPrefix + string(rune('a'+i))
		return s.CreateUser(ctx, u)
	}), account.ErrExists)
	users, err := s.Users(t.Context())
	must(t, err)
	same(t, "number of users", 1, len(users))
}

func testRaceForClientID(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.CreateClient(ctx, newClient("app"))
	}), client.ErrExists)
}

func testRaceToDelete(t *testing.T, s *store.Store) {
	addGrant(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.DeleteUser(ctx, "john.doe", start)
	}), account.ErrNotFound)
}

func testRaceForNumbers(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	const each = 4
	var mu sync.Mutex
	numbers := map[int64]bool{}
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		for range each {
			number, err := s.StartGrant(ctx, newGrant(u, c))
			if err != nil {
				return err
			}
			mu.Lock()
			numbers[number] = true
			mu.Unlock()
		}
		return nil
	}) {
		must(t, err)
	}
	same(t, "different numbers", racers*each, len(numbers))
	same(t, "active grants", racers*each, activeGrants(t, s))
}

func testRaceOfFailures(t *testing.T, s *store.Store) {
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.RecordFailure(ctx, "john", start, start.Add(-account.ForgetAfter))
	}) {
		must(t, err)
	}
	expectFailures(t, s, "john", account.Failures{Count: racers, LastAt: start})
}

func testRaceForHash(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		if i == 0 {
			return s.SetPassword(ctx, u.Username, "of a new password", start)
		}
		return s.ReplaceHash(ctx, u.ID, u.PasswordHash, "of the old password")
	}) {
		must(t, err)
	}
	got, err := s.UserByID(t.Context(), u.ID)
	must(t, err)
	same(t, "hash", "of a new password", got.PasswordHash)
}

// logins are those of one user at one client, on many connections at once.
type logins struct {
	store   *store.Store
	grant   grant.Grant
	started chan struct{} // gets a value at the first login of each racer

	mu      sync.Mutex
	numbers []int64 // of the grants so far
}

func newLogins(t *testing.T, s *store.Store) *logins {
	g := newGrant(addUser(t, s, "john.doe"), addClient(t, s, "app"))
	return &logins{store: s, grant: g, started: make(chan struct{}, racers)}
}

// run logs in again and again until that is refused, or until done is closed.
func (l *logins) run(ctx context.Context, done <-chan struct{}) error {
	for {
		number, err := l.store.StartGrant(ctx, l.grant)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.numbers = append(l.numbers, number)
		l.mu.Unlock()
		select {
		case l.started <- struct{}{}:
		case <-done:
			return nil
		default:
		}
	}
}

// first waits for the first login.
func (l *logins) first(ctx context.Context) error {
	select {
	case <-l.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// soFar returns the grants that have been given by now.
func (l *logins) soFar() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.numbers)
}

// expectRevoked checks that there are such grants, and that all are revoked.
func (l *logins) expectRevoked(t *testing.T, numbers []int64) {
	t.Helper()
	if len(numbers) == 0 {
		t.Fatal("no login came first: this run shows nothing")
	}
	for _, number := range numbers {
		g, err := l.store.GrantByNumber(t.Context(), number)
		must(t, err)
		if g.RevokedAt.IsZero() {
			t.Errorf("grant %d is not revoked", number)
		}
	}
}

// endDuringLogins ends a user or a client while logins go on, until each of them is
// refused. In whatever order things happened, no grant is left.
func endDuringLogins(t *testing.T, s *store.Store, end func(context.Context) error) {
	l := newLogins(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := atOnce(ctx, racers, func(ctx context.Context, i int) error {
		if i > 0 {
			return l.run(ctx, nil)
		}
		return cmp.Or(l.first(ctx), end(ctx))
	})
	must(t, errs[0])
	for _, err := range errs[1:] {
		expect(t, "a login that came too late", err, grant.ErrInactive)
	}
	l.expectRevoked(t, l.soFar())
	same(t, "active grants", 0, activeGrants(t, s))
}

// A new password ends what was begun with the old one, and what begins with it later.
func testPasswordDuringLogins(t *testing.T, s *store.Store) {
	endDuringLogins(t, s, func(ctx context.Context) error { return s.SetPassword(ctx, "john.doe", "another hash", start) })
}

// A logout that ends the apps' access, too, ends what the codes of the session have
// given, and every one that is redeemed later is unknown.
func testLogoutDuringRedemptions(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	var codes []grant.Code
	for i := range 4 * racers {
		codes = append(codes, addCode(t, s, "code "+strconv.Itoa(i), u, c))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	errs := atOnce(ctx, len(codes)+1, func(ctx context.Context, i int) error {
		if i == len(codes) {
			return s.DeleteSession(ctx, codes[0].Session, true, start)
		}
		_, err := s.RedeemCode(ctx, codes[i].Digest, grantOf(codes[i]))
		if errors.Is(err, grant.ErrCodeUnknown) {
			return nil
		}
		return err
	})
	for _, err := range errs {
		must(t, err)
	}
	same(t, "active grants", 0, activeGrants(t, s))
}
