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
	{"unlocking and deleting a user forget all failures", testUnlock},
	{"a grant gives back the failures", testGrantGivesBack},
	{"a session gives back the failures", testSessionGivesBack},
	{"old failed logins of other accounts are swept", testSweepFailures},
	{"failed logins at known places do not count for the account", testKnownFailures},
	{"addresses of logins are known", testKnownAddresses},
	{"addresses of logins are known for a time", testKnownAddressesExpire},
	{"the latest addresses of logins are known", testManyKnownAddresses},
	{"failed logins of all accounts are counted by network", testFailuresAtNetwork},
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
	f, err := s.LoginFailures(t.Context(), k, start)
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
	followRule(t, s, key("john", "192.0.2.1"), 25, 50)
	followRule(t, s, known("jane", "browser"), 100, 150)
	regular := key("jack", "192.0.2.1")
	regular.AddressKnown = true
	followRule(t, s, regular, 25, 50)
}

// known returns the key of a login to the account in a browser that knows it.
func known(name, browser string) account.FailureKey {
	k := key(name, "192.0.2.1")
	k.Browser = browser
	return k
}

// followRule tries to log in for 25 hours, whenever a try may or may not be allowed.
func followRule(t *testing.T, s *store.Store, k account.FailureKey, least, most int) {
	t.Helper()
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
	if tries < least || tries > most {
		t.Errorf("%d tries in 25 hours, want %d to %d", tries, least, most)
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
	fail(t, s, k, inTime.Add(account.ForgetAfter-time.Second), 1) // a day counts from the last one
	expectCounts(t, s, k, 4, 4)
	late := inTime.Add(2*account.ForgetAfter - time.Second)
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

// What an administrator unlocks, and what goes with a deleted user, is everything that is counted for the user.
func testUnlock(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john.doe")
	kinds := account.FailureAccounts(u.ID)
	count := func(what string, want int) {
		t.Helper()
		found, err := s.FailuresOf(t.Context(), u.ID, start)
		must(t, err)
		same(t, what, want, len(found))
	}
	failAll := func() {
		for _, counted := range kinds {
			fail(t, s, account.FailureKey{Account: counted.Account, Address: "somewhere"}, start, 3)
		}
		fail(t, s, account.NewUserCodeKey(u.ID, "192.0.2.1"), start, 3)
		count("kinds of failures", len(kinds))
	}
	failAll()
	must(t, s.Unlock(t.Context(), u.Username, start))
	count("after unlocking", 0)
	failAll()
	must(t, s.DeleteUser(t.Context(), u.Username, start))
	count("after deleting", 0)
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
	must(t, s.StartSession(t.Context(), store.NewSession{
		Digest: "cookie", User: u, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}))
	expectCounts(t, s, u.Login, 0, 0)
}

func testKnownFailures(t *testing.T, s *store.Store) {
	addUser(t, s, "john")
	owner, stranger := known(account.IDPrefix+"john", "browser"), key(account.IDPrefix+"john", "192.0.2.1")
	regular := key(account.IDPrefix+"john", "192.0.2.2")
	regular.AddressKnown = true
	fail(t, s, owner, start, 3)
	fail(t, s, stranger, start, account.AddressLimit.Free)
	reserve(t, s, stranger, start, false)
	expectCounts(t, s, stranger, account.AddressLimit.Free, account.AddressLimit.Free)
	same(t, "failures of the owner", 3, failures(t, s, owner).AtAddress.Count)
	same(t, "wait of the owner", time.Duration(0), failures(t, s, owner).Wait(start))
	fail(t, s, regular, start, account.AddressLimit.Free)
	reserve(t, s, regular, start, false)
	must(t, s.GiveBackTries(t.Context(), regular))
	expectCounts(t, s, stranger, account.AddressLimit.Free, account.AddressLimit.Free)
	fail(t, s, owner, start, account.KnownLimit.Free-3)
	reserve(t, s, owner, start, false)
	must(t, s.GiveBackTries(t.Context(), owner))
	expectCounts(t, s, stranger, account.AddressLimit.Free, account.AddressLimit.Free)
	fail(t, s, owner, start, account.KnownLimit.Free)
	must(t, s.SetPassword(t.Context(), "john", "hash", start))
	same(t, "failures after a new password", 0, failures(t, s, owner).AtAddress.Count)
}

func testFailuresAtNetwork(t *testing.T, s *store.Store) {
	at := func(account, network string) account.FailureKey {
		k := key(account, network)
		k.Network, k.Neighborhood = network, network[:1]
		return k
	}
	fail(t, s, key("0", "a1"), start, 1) // by a service, or a server of the previous version
	for i := range 3 {
		fail(t, s, at(strconv.Itoa(i), "a1"), start.Add(time.Duration(i)*time.Minute), 2)
	}
	fail(t, s, at("0", "a2"), start, 1)
	fail(t, s, at("3", "b1"), start, 1)
	fail(t, s, key("4", "a1"), start, 1)
	atKnown := at("5", "a1")
	atKnown.AddressKnown = true
	fail(t, s, atKnown, start, 1)
	inBrowser := at("6", "a1")
	inBrowser.Browser = "browser"
	fail(t, s, inBrowser, start, 1)
	expectFailures := func(what, network string, now time.Time, want ...int) {
		t.Helper()
		f, err := s.LoginFailures(t.Context(), at("new", network), now)
		must(t, err)
		same(t, what, want, []int{f.AtNetwork.Count, f.Nearby.Count})
	}
	late := start.Add(2 * time.Minute)
	expectFailures("at a1", "a1", late, 8, 9)
	expectFailures("at b1", "b1", late, 1, 1)
	expectFailures("elsewhere", "c", late, 0, 0)
	f, err := s.LoginFailures(t.Context(), at("new", "a1"), late)
	must(t, err)
	same(t, "failures", account.Failures{Count: 8, Since: start, LastAt: late}, f.AtNetwork)
	expectFailures("by a clock that is behind", "a1", start, 4, 5)
	expectFailures("a day after the first", "a1", start.Add(account.ForgetAfter), 4, 4)
	must(t, s.GiveBackTries(t.Context(), at("1", "a1")))
	expectFailures("after a login", "a1", late, 6, 7)
}

// comer is a user who logs in from addresses.
type comer struct {
	t    *testing.T
	s    *store.Store
	user account.User
}

// from returns the key of a login from an address.
func (c comer) from(address string) account.FailureKey {
	k := key(c.user.ID, address)
	k.KnownAs = "from " + address
	return k
}

// logIn starts a session.
func (c comer) logIn(k account.FailureKey, at time.Time) {
	c.t.Helper()
	c.user.Login = k
	digest := k.KnownAs + at.String()
	must(c.t, c.s.StartSession(c.t.Context(), store.NewSession{
		Digest: digest, User: c.user, CreatedAt: at, ExpiresAt: at.Add(time.Hour),
	}))
}

// expect checks whether an address is known at a time.
func (c comer) expect(what string, k account.FailureKey, at time.Time, want bool) {
	c.t.Helper()
	got, err := c.s.KnowsAddress(c.t.Context(), c.user.ID, k, at)
	must(c.t, err)
	same(c.t, what, want, got)
}

func testKnownAddresses(t *testing.T, s *store.Store) {
	john := comer{t, s, addUser(t, s, "john")}
	atHome, atWork, service := john.from("home"), john.from("work"), key(john.user.ID, "of a service")
	john.expect("at first", atHome, start, false)
	john.logIn(atHome, start)
	john.expect("after a session", atHome, start, true)
	john.expect("elsewhere", atWork, start, false)
	g := newGrant(john.user, addClient(t, s, "app"))
	g.Login = atWork
	g.Login.Browser = "browser"
	_, err := s.StartGrant(t.Context(), g)
	must(t, err)
	john.expect("after a grant in a known browser", atWork, start, true)
	john.logIn(service, start)
	john.expect("of a service", service, start, false)
	here := john.user
	here.Login = atHome
	must(t, s.ChangePassword(t.Context(), here, "hash", kept(""), start))
	john.expect("where the user chooses a new password", atHome, start, true)
	john.expect("elsewhere, after that", atWork, start, false)
	must(t, s.SetPassword(t.Context(), john.user.Username, "hash", start))
	john.expect("after a new password", atHome, start, false)
}

func testKnownAddressesExpire(t *testing.T, s *store.Store) {
	john := comer{t, s, addUser(t, s, "john")}
	atHome, ahead, end := john.from("home"), john.from("ahead"), start.Add(account.KnownFor)
	john.logIn(atHome, start)
	john.expect("at the end", atHome, end, false)
	john.logIn(atHome, start.Add(time.Hour)) // it is written once a day
	john.expect("a minute after the end", atHome, end.Add(time.Minute), false)
	john.logIn(atHome, start.Add(25*time.Hour))
	john.expect("after a login on the next day", atHome, end.Add(time.Minute), true)
	john.expect("by a clock that is behind", atHome, start, false)
	john.logIn(john.from("late"), end.Add(26*time.Hour))
	john.expect("an old address that was swept", atHome, start.Add(26*time.Hour), false)

	john.logIn(ahead, end.AddDate(1, 0, 0))
	john.expect("after a login while the clock was ahead", ahead, end, false)
	john.logIn(ahead, end)
	john.expect("after another login", ahead, end, true)
}

// The addresses of a user that are known are the latest ones.
func testManyKnownAddresses(t *testing.T, s *store.Store) {
	u := addUser(t, s, "john")
	for i := range account.MaxKnownAddresses + 2 {
		u.Login = account.FailureKey{Account: "x", Address: "x", KnownAs: strconv.Itoa(i)}
		at := start.Add(time.Duration(i) * time.Minute)
		must(t, s.StartSession(t.Context(), store.NewSession{
			Digest: strconv.Itoa(i), User: u, CreatedAt: at, ExpiresAt: at.Add(time.Hour),
		}))
	}
	for i := range account.MaxKnownAddresses + 2 {
		k := account.FailureKey{KnownAs: strconv.Itoa(i)}
		known, err := s.KnowsAddress(t.Context(), u.ID, k, start.Add(time.Hour))
		must(t, err)
		same(t, "address "+strconv.Itoa(i)+" is known", i >= 2, known)
	}
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
