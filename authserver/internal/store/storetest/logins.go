package storetest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var loginTests = []test{
	{"failed logins are counted by account and address", testCountFailures},
	{"a login must wait as package account says", testReserveFollowsTheRule},
	{"a refused login is not counted", testRefusedIsNotCounted},
	{"failed logins expire", testForgetFailures},
	{"failed logins of a clock that was ahead do not count", testFailuresAhead},
	{"a login gives back the failures of its address", testGiveBack},
	{"a grant gives back the failures", testGrantGivesBack},
	{"a session gives back the failures", testSessionGivesBack},
	{"old failed logins of other accounts are swept", testSweepFailures},
	{"no more logins than allowed pass at once", testRaceToReserve},
	{"concurrent logins, successes and a new password", testRaceOfLogins},
}

// key returns the key of a login to the account from an address.
func key(name, address string) account.FailureKey { return account.NewFailureKey(name, address) }

// reserve reserves a try and checks whether that succeeds.
func reserve(t *testing.T, s *store.Store, k account.FailureKey, at time.Time, want bool) {
	t.Helper()
	got, err := s.ReserveTry(t.Context(), k, at)
	must(t, err)
	same(t, "reserved", want, got)
}

// fail reserves tries of which none is given back.
func fail(t *testing.T, s *store.Store, k account.FailureKey, at time.Time, times int) {
	t.Helper()
	for range times {
		reserve(t, s, k, at, true)
	}
}

// failures returns what is counted under the key.
func failures(t *testing.T, s *store.Store, k account.FailureKey) account.LoginFailures {
	t.Helper()
	f, err := s.LoginFailures(t.Context(), k)
	must(t, err)
	return f
}

// expectCounts checks how much is counted for the account at the address, and in all.
func expectCounts(t *testing.T, s *store.Store, k account.FailureKey, atAddress, ofAccount int) {
	t.Helper()
	f := failures(t, s, k)
	same(t, "failures at the address and of the account",
		[]int{atAddress, ofAccount}, []int{f.AtAddress.Count, f.OfAccount.Count})
}

func testCountFailures(t *testing.T, s *store.Store) {
	john, elsewhere := key("john", "192.0.2.1"), key("john", "192.0.2.2")
	same(t, "failures at first", account.LoginFailures{}, failures(t, s, john))
	later := start.Add(time.Minute)
	fail(t, s, john, start, 1)
	fail(t, s, john, later, 2)
	want := account.Failures{Count: 3, Since: start, LastAt: later}
	same(t, "failures", account.LoginFailures{AtAddress: want, OfAccount: want}, failures(t, s, john))
	fail(t, s, elsewhere, later, 1)
	expectCounts(t, s, elsewhere, 1, 4)
	expectCounts(t, s, john, 3, 4)
	expectCounts(t, s, key("jane", "192.0.2.1"), 0, 0) // no row that two accounts share
}

// The rule is written twice: in SQL, and in Go for the response.
func testReserveFollowsTheRule(t *testing.T, s *store.Store) {
	k := key("john", "192.0.2.1")
	tries, end := 0, start.Add(account.ForgetAfter+time.Hour)
	for at := start; at.Before(end); {
		f := failures(t, s, k)
		wait := f.Wait(at)
		if wait > time.Second {
			soon := at.Add(wait - time.Second)
			reserve(t, s, k, soon, f.Wait(soon) == 0)
			wait = failures(t, s, k).Wait(soon)
			at = soon
		}
		reserve(t, s, k, at, wait == 0)
		if wait == 0 {
			tries++
		}
		at = at.Add(wait)
	}
	if tries < 100 || tries > 200 {
		t.Errorf("%d tries in 25 hours, want 100 to 200", tries)
	}
}

func testRefusedIsNotCounted(t *testing.T, s *store.Store) {
	k := key("john", "192.0.2.1")
	fail(t, s, k, start, account.AddressLimit.Free)
	before := failures(t, s, k)
	reserve(t, s, k, start, false)
	same(t, "failures", before, failures(t, s, k)) // neither of the account, which may go on
	reserve(t, s, key("john", "192.0.2.2"), start, true)

	// The bound of the account holds at an address without failures too.
	for i := range account.AccountLimit.Free {
		reserve(t, s, key("jane", strconv.Itoa(i/5)), start, true)
	}
	reserve(t, s, key("jane", "elsewhere"), start, false)
	expectCounts(t, s, key("jane", "elsewhere"), 0, account.AccountLimit.Free)
}

func testForgetFailures(t *testing.T, s *store.Store) {
	k := key("john", "192.0.2.1")
	fail(t, s, k, start, 2)
	inTime := start.Add(account.ForgetAfter - time.Second)
	fail(t, s, k, inTime, 1)
	expectCounts(t, s, k, 3, 3)
	late := start.Add(account.ForgetAfter)
	fail(t, s, k, late, 1)
	want := account.Failures{Count: 1, Since: late, LastAt: late}
	same(t, "failures", account.LoginFailures{AtAddress: want, OfAccount: want}, failures(t, s, k))
}

// A clock that was a year ahead must not throttle for a year.
func testFailuresAhead(t *testing.T, s *store.Store) {
	k := key("john", "192.0.2.1")
	fail(t, s, k, start.AddDate(1, 0, 0), account.AddressLimit.Free)
	same(t, "wait", time.Duration(0), failures(t, s, k).Wait(start))
	fail(t, s, k, start, account.AddressLimit.Free)
	expectCounts(t, s, k, account.AddressLimit.Free, account.AddressLimit.Free)
	reserve(t, s, k, start, false)
	reserve(t, s, k, start.Add(-account.ClockMargin), false) // a server whose clock is a little behind
}

func testGiveBack(t *testing.T, s *store.Store) {
	john, elsewhere := key("john", "192.0.2.1"), key("john", "192.0.2.2")
	must(t, s.GiveBackTries(t.Context(), john))
	must(t, s.GiveBackTries(t.Context(), account.FailureKey{}))
	fail(t, s, john, start, 3)
	fail(t, s, elsewhere, start, 4)
	must(t, s.GiveBackTries(t.Context(), john))
	expectCounts(t, s, john, 0, 4) // the guesser elsewhere gets no tries back
	must(t, s.GiveBackTries(t.Context(), elsewhere))
	expectCounts(t, s, elsewhere, 0, 0)
}

func testGrantGivesBack(t *testing.T, s *store.Store) {
	g := newGrant(addUser(t, s, "john.doe"), addClient(t, s, "app"))
	g.Login = key(g.UserID, "192.0.2.1")
	fail(t, s, g.Login, start, 3)
	stale := g
	stale.PasswordVersion = 7
	_, err := s.StartGrant(t.Context(), stale)
	expect(t, "a grant for a previous password", err, grant.ErrInactive)
	expectCounts(t, s, g.Login, 3, 3)
	_, err = s.StartGrant(t.Context(), g)
	must(t, err)
	expectCounts(t, s, g.Login, 0, 0)
}

func testSessionGivesBack(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	u.Login = key(u.ID, "192.0.2.1")
	fail(t, s, u.Login, start, 3)
	must(t, s.CreateSession(t.Context(), "cookie", u, start, start.Add(time.Hour)))
	expectCounts(t, s, u.Login, 0, 0)
}

func testSweepFailures(t *testing.T, s *store.Store) {
	const old = 10
	for i := range old {
		fail(t, s, key(strconv.Itoa(i), "192.0.2.1"), start, 1)
	}
	recent := key("recent", "192.0.2.1")
	fail(t, s, recent, start.Add(time.Hour), 1)
	late := start.Add(account.ForgetAfter + time.Minute)
	fail(t, s, key("john", "192.0.2.1"), late, old/2) // each sweeps more than one row
	for i := range old {
		same(t, "old failures", account.LoginFailures{}, failures(t, s, key(strconv.Itoa(i), "192.0.2.1")))
	}
	expectCounts(t, s, recent, 1, 1)
}

// RFC 6749 section 4.3.2: of many guesses at once, at one address and at several, as many pass
// as the limits allow, in whatever process.
func testRaceToReserve(t *testing.T, s *store.Store) {
	pass := func(name string, address func(i int) string) int {
		var passed atomic.Int64
		for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
			for range 8 {
				ok, err := s.ReserveTry(ctx, key(name, address(i)), start)
				if err != nil {
					return err
				}
				if ok {
					passed.Add(1)
				}
			}
			return nil
		}) {
			must(t, err)
		}
		return int(passed.Load())
	}
	one := func(int) string { return "192.0.2.1" }
	same(t, "guesses from one address", account.AddressLimit.Free, pass("john", one))
	four := func(i int) string { return "192.0.2." + strconv.Itoa(i%4) }
	same(t, "guesses from four addresses", 4*account.AddressLimit.Free, pass("jane", four))
	expectCounts(t, s, key("jane", four(0)), account.AddressLimit.Free, 4*account.AddressLimit.Free)
}

// Whatever their order, none of these fails or waits for another one forever.
func testRaceOfLogins(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	for _, err := range atOnce(t.Context(), racers, func(ctx context.Context, i int) error {
		k := key(u.ID, "192.0.2."+strconv.Itoa(i%3))
		for round := range 8 {
			if _, err := s.ReserveTry(ctx, k, start); err != nil {
				return err
			}
			if err := s.GiveBackTries(ctx, k); i%2 == 0 && err != nil {
				return err
			}
			if i == 0 && round%4 == 0 {
				if err := s.SetPassword(ctx, u.Username, "hash", start); err != nil {
					return err
				}
			}
		}
		return nil
	}) {
		must(t, err)
	}
	must(t, s.SetPassword(t.Context(), u.Username, "hash", start))
	for i := range 3 {
		expectCounts(t, s, key(u.ID, "192.0.2."+strconv.Itoa(i)), 0, 0)
	}
}
