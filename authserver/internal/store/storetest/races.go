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
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var raceTests = []test{
	{"concurrent creation of a user", testRaceForUsername},
	{"concurrent creation of a client", testRaceForClientID},
	{"concurrent deletion of a user", testRaceToDelete},
	{"concurrent grants get different numbers", testRaceForNumbers},
	{"concurrent replacement of a hash", testRaceForHash},
	{"concurrent writes of which some fail", testRaceOfFailures},
	{"setting a password during logins", testPasswordDuringLogins},
	{"logging out while codes are redeemed", testLogoutDuringRedemptions},
	{"disabling a user during logins", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, grant.ErrInactive, func(ctx context.Context) error {
			return s.DisableUser(ctx, "john.doe", start)
		})
	}},
	{"deleting a user during logins", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, grant.ErrInactive, func(ctx context.Context) error {
			return s.DeleteUser(ctx, "john.doe", start)
		})
	}},
	{"deleting a client during logins", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, grant.ErrClientChanged, func(ctx context.Context) error {
			return s.DeleteClient(ctx, "app", start)
		})
	}},
	{"replacing a secret during logins", func(t *testing.T, s *store.Store) {
		endDuringLogins(t, s, grant.ErrClientChanged, func(ctx context.Context) error {
			return s.ReplaceClientSecret(ctx, "app", "another digest", start)
		})
	}},
}

// racers is the number of goroutines that do the same at once.
const racers = 16

// raceTimeout limits the logins that should have been rejected.
const raceTimeout = 5 * time.Minute

// oneWinner checks that one error is nil and all others are lost.
func oneWinner(t *testing.T, errs []error, lost error) {
	t.Helper()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
		} else {
			expect(t, "a losing call", err, lost)
		}
	}
	same(t, "winners", 1, winners)
}

func testRaceForUsername(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		u := newUser("john.doe")
		u.ID = account.IDPrefix + string(rune('a'+i))
		return s.CreateUser(ctx, u)
	}), record.ErrExists)
	users, err := s.Users(t.Context(), record.Page{})
	must(t, err)
	same(t, "number of users", 1, len(users))
}

func testRaceForClientID(t *testing.T, s *store.Store) {
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.CreateClient(ctx, newClient("app"))
	}), record.ErrExists)
}

func testRaceToDelete(t *testing.T, s *store.Store) {
	addGrant(t, s, addUser(t, s, "john.doe"), addClient(t, s, "app"))
	oneWinner(t, atOnce(t.Context(), racers, func(ctx context.Context, _ int) error {
		return s.DeleteUser(ctx, "john.doe", start)
	}), record.ErrNotFound)
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

func testRaceForHash(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		if i == 0 {
			return s.SetPassword(ctx, u.Username, "hash of the new password", start)
		}
		return s.ReplaceHash(ctx, u.ID, u.PasswordHash, "new hash of the old password")
	}) {
		must(t, err)
	}
	got, err := s.UserByID(t.Context(), u.ID)
	must(t, err)
	same(t, "hash", "hash of the new password", got.PasswordHash)
}

// Writes that fail leave nothing, and change nothing about those that succeed at the same time.
func testRaceOfFailures(t *testing.T, s *store.Store) {
	c := addClient(t, s, "app")
	users := make([]account.User, 4*racers)
	for i := range users {
		users[i] = addUser(t, s, "user"+strconv.Itoa(i))
	}
	errs := atOnce(t.Context(), len(users), func(ctx context.Context, i int) error {
		g := newGrant(users[i], c)
		if i%2 == 0 {
			g.ClientID = "nothing" // it is read after the time of the login was written
		}
		_, err := s.StartGrant(ctx, g)
		return err
	})
	for i, err := range errs {
		if i%2 == 0 {
			expect(t, "a grant to no client", err, grant.ErrClientChanged)
		} else {
			must(t, err)
			users[i].LastLoginAt = start
		}
		expectUser(t, s, users[i])
	}
	same(t, "active grants", len(users)/2, activeGrants(t, s))
}

// logins are concurrent logins of one user at one client.
type logins struct {
	store   *store.Store
	grant   grant.Grant
	started chan struct{} // receives a value for the first logins

	mu      sync.Mutex
	numbers []int64 // of the grants
}

func newLogins(t *testing.T, s *store.Store) *logins {
	g := newGrant(addUser(t, s, "john.doe"), addClient(t, s, "app"))
	return &logins{store: s, grant: g, started: make(chan struct{}, racers)}
}

// run logs in until that fails or done is closed.
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

// soFar returns the numbers of the grants that were started.
func (l *logins) soFar() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.numbers)
}

// expectRevoked checks that there are grants and that all are revoked.
func (l *logins) expectRevoked(t *testing.T, numbers []int64) {
	t.Helper()
	if len(numbers) == 0 {
		t.Fatal("no login succeeded")
	}
	for _, number := range numbers {
		g, err := l.store.GrantByNumber(t.Context(), number)
		must(t, err)
		if g.RevokedAt.IsZero() {
			t.Errorf("grant %d is not revoked", number)
		}
	}
}

// endDuringLogins runs end, which disables or deletes a user or a client, during logins, until
// all of them fail with want. Whatever the order, no grant stays active.
func endDuringLogins(t *testing.T, s *store.Store, want error, end func(context.Context) error) {
	l := newLogins(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
	defer cancel()
	errs := atOnce(ctx, racers, func(ctx context.Context, i int) error {
		if i > 0 {
			return l.run(ctx, nil)
		}
		return cmp.Or(l.first(ctx), end(ctx))
	})
	must(t, errs[0])
	for _, err := range errs[1:] {
		expect(t, "a login after the end", err, want)
	}
	l.expectRevoked(t, l.soFar())
	same(t, "active grants", 0, activeGrants(t, s))
}

// A new password revokes grants of the old one, and makes logins with it fail.
func testPasswordDuringLogins(t *testing.T, s *store.Store) {
	endDuringLogins(t, s, grant.ErrInactive, func(ctx context.Context) error {
		return s.SetPassword(ctx, "john.doe", "another hash", start)
	})
}

// A logout that revokes the grants of the session also revokes those of its codes. Redeeming a
// code later returns grant.ErrCodeUnknown.
func testLogoutDuringRedemptions(t *testing.T, s *store.Store) {
	u, c := addUser(t, s, "john.doe"), addClient(t, s, "app")
	var codes []grant.Code
	for i := range 4 * racers {
		codes = append(codes, addCode(t, s, "code "+strconv.Itoa(i), u, c))
	}
	ctx, cancel := context.WithTimeout(t.Context(), raceTimeout)
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
