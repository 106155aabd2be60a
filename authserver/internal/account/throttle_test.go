package account_test

import (
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// freeFailures is the number of failures that cause no wait.
const freeFailures = 10

// waitOf returns the wait of a *ThrottledError, or zero for any other error.
func waitOf(err error) time.Duration {
	var throttled *account.ThrottledError
	if errors.As(err, &throttled) {
		return throttled.Wait
	}
	return 0
}

func expectWait(t *testing.T, err error, want time.Duration) {
	t.Helper()
	if got := waitOf(err); got != want {
		t.Errorf("%v: got a wait of %v, want %v", err, got, want)
	}
}

// RFC 6749 section 4.3.2 and NIST SP 800-63B section 5.2.2: failed logins throttle the
// account, whether it exists or not. A throttled account refuses the right password too.
func TestThrottle(t *testing.T) {
	t.Parallel()
	// In seconds, after the free failures.
	waits := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 14400}
	for _, username := range []string{"john.doe", "nobody"} {
		t.Run(username, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.add("john.doe", bcrypt.MinCost)
			for range freeFailures {
				f.expect(username, wrong, account.ErrIncorrect)
			}
			for _, seconds := range waits {
				wait := time.Duration(seconds) * time.Second
				expectWait(t, f.check(username, wrong), wait)
				expectWait(t, f.check(username, right), wait)
				f.now = f.now.Add(wait - time.Second)
				expectWait(t, f.check(username, right), time.Second) // until the wait is over
				f.now = f.now.Add(time.Second)
				f.expect(username, wrong, account.ErrIncorrect)
			}
		})
	}
}

func TestThrottleForgets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		then func(f *fixture) // after one failure more than the free ones
	}{
		{"a success", func(f *fixture) {
			f.now = f.now.Add(2 * time.Second)
			f.expect("john.doe", right, nil)
		}},
		{"a day", func(f *fixture) { f.now = f.now.Add(account.ForgetAfter + time.Second) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.add("john.doe", bcrypt.MinCost)
			for range freeFailures {
				f.expect("john.doe", wrong, account.ErrIncorrect)
			}
			f.now = f.now.Add(time.Second)
			f.expect("john.doe", wrong, account.ErrIncorrect)
			expectWait(t, f.check("john.doe", right), 2*time.Second)
			tt.then(f)
			for range freeFailures {
				f.expect("john.doe", wrong, account.ErrIncorrect)
			}
			expectWait(t, f.check("john.doe", right), time.Second)
		})
	}
}

// Failures of one account do not throttle another one, even of a similar name.
func TestThrottleIsPerAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, username := range []string{"john.doe", "john.doé", "jane.smith"} {
		f.add(username, bcrypt.MinCost)
	}
	for range freeFailures {
		f.expect("john.doe", wrong, account.ErrIncorrect)
	}
	expectWait(t, f.check("john.doe", right), time.Second)
	expectWait(t, f.check(" john.doe", right), time.Second) // the same account
	f.expect("john.doé", right, nil)
	f.expect("jane.smith", right, nil)
}

// A guesser at one address cannot keep the owner out at another one, however long it guesses, even if the owner was
// never there before.
func TestThrottleIsPerAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	for end := f.now.Add(account.ForgetAfter); f.now.Before(end); {
		err := f.checkFrom("198.51.100.7", "john.doe", wrong)
		f.now = f.now.Add(waitOf(err))
		if waitOf(err) == account.AddressLimit.LongestWait {
			if err := f.checkFrom(home, "john.doe", right); err != nil {
				t.Fatalf("the owner, while a guesser waits: %v", err)
			}
		}
	}
	expectWaits := func(address string, throttled bool) {
		t.Helper()
		if got := waitOf(f.checkFrom(address, "jane", wrong)) > 0; got != throttled {
			t.Errorf("%s is throttled: %v, want %v", address, got, throttled)
		}
	}
	for range freeFailures { // one customer may have a /48
		expectWaits("2001:db8:1:2::1", false)
	}
	expectWaits("2001:db8:1:3::2", true)
	expectWaits("2001:db8:2:2::1", false)
	expectWaits("::ffff:192.0.2.9", false)
}

// The bound of the account as a whole limits somebody who guesses from many addresses.
func TestThrottleOfManyAddresses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	for i := range account.AccountLimit.Free {
		if err := f.checkFrom("192.0.2."+strconv.Itoa(i/5), "john.doe", wrong); !errors.Is(err, account.ErrIncorrect) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	expectWait(t, f.checkFrom("198.51.100.7", "john.doe", right), time.Second)
	f.now = f.now.Add(time.Second)
	if err := f.checkFrom("198.51.100.7", "john.doe", right); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// A clock that was a year ahead during failures does not throttle anybody for a year.
func TestThrottleAfterTheClockWasAhead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	now := f.now
	f.now = now.AddDate(1, 0, 0)
	for range freeFailures {
		f.expect("john.doe", wrong, account.ErrIncorrect)
	}
	expectWait(t, f.check("john.doe", right), time.Second)
	f.now = now
	f.expect("john.doe", right, nil)
}

// Right passwords are never counted, whether they lead to a session or to nothing.
func TestSuccessGivesTheTryBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.add("john.doe", bcrypt.MinCost)
	for range freeFailures + 1 {
		f.expect("john.doe", right, nil)
	}
	for range freeFailures + 1 {
		u, err := f.Check(t.Context(), account.Attempt{Username: "john.doe", Password: right, Address: home})
		if err == nil {
			err = f.GiveBack(t.Context(), u)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// NIST SP 800-63B section 5.2.2: a stranger gets fewer than a hundred guesses in any 24 hours, from one address and
// from many, however the guesses are spread.
func TestThrottleGuessesPerDay(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{0, 23 * time.Hour} { // after a first guess
		for _, tt := range []struct{ addresses, min, max int }{{1, 20, 40}, {2, 40, 80}, {10_000, 60, 99}} {
			f := newFixture(t)
			f.add("john.doe", bcrypt.MinCost)
			address := 0
			var guesses []time.Time
			guess := func() time.Duration {
				address++
				from := "2001:db8:" + strconv.FormatInt(int64(address%tt.addresses), 16) + "::1"
				err := f.checkFrom(from, "john.doe", wrong)
				if errors.Is(err, account.ErrIncorrect) {
					guesses = append(guesses, f.now)
				}
				return waitOf(err)
			}
			end := f.now.Add(60 * time.Hour)
			guess()
			for f.now = f.now.Add(pause); f.now.Before(end); {
				shortest := 24 * time.Hour
				for range min(tt.addresses, 3) { // a fresh one each, as long as there are any
					shortest = min(shortest, guess())
				}
				f.now = f.now.Add(shortest)
			}
			if most := mostInADay(guesses); most < tt.min || most > tt.max {
				t.Errorf("%d guesses in a day from %d addresses after a pause of %v, want %d to %d",
					most, tt.addresses, pause, tt.min, tt.max)
			}
		}
	}
}

// mostInADay returns the greatest number of times within 24 hours. The times are sorted.
func mostInADay(times []time.Time) (most int) {
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= 24*time.Hour {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// login logs in from an address and, unless it is the zero Browser, a browser, and starts a session.
func (f *fixture) login(b account.Browser, address, password string) (account.User, error) {
	f.t.Helper()
	u, err := f.Check(f.t.Context(), account.Attempt{
		Username: "john.doe", Password: password, Address: address, Browser: b,
	})
	if err == nil {
		digest := "session " + strconv.FormatInt(f.sessions.Add(1), 10)
		err = f.store.StartSession(f.t.Context(), store.NewSession{
			Digest: digest, User: u, CreatedAt: f.now, ExpiresAt: f.now.Add(time.Hour),
		})
	}
	return u, err
}

// fail counts a failure of an account without the work of a login.
func (f *fixture) fail(address, name string) {
	f.t.Helper()
	reserved, err := f.store.ReserveTry(f.t.Context(), account.KeyFrom(name, address), f.now)
	if err != nil || !reserved {
		f.t.Fatalf("%s at %s: reserved %v, error %v", name, address, reserved, err)
	}
}

// Somebody who tries one password for each of many accounts must wait, at one address and at the addresses near it,
// and cannot tell which users have been there before. A known browser there need not wait, nor a service for its users.
func TestSpraying(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	u := f.add("john.doe", bcrypt.MinCost)
	f.add("jane", bcrypt.MinCost)
	if _, err := f.login(account.Browser{}, home, right); err != nil {
		t.Fatal(err)
	}
	for i := range account.SprayLimit.Free - 1 {
		f.fail(home, "user "+strconv.Itoa(i))
	}
	f.expect("user", wrong, account.ErrIncorrect)
	for _, name := range []string{"jane", "john.doe", "nobody"} {
		expectWait(t, f.check(name, right), time.Second)
	}
	if _, err := f.login(f.WithLogin(account.Browser{}, u, "random"), home, right); err != nil {
		t.Errorf("a known browser: %v", err)
	}
	if err := f.checkFrom("192.0.2.2", "jane", right); err != nil {
		t.Errorf("at the next address: %v", err)
	}
	_, err := f.Check(t.Context(), account.Attempt{Username: "jane", Password: right, Address: home, OfService: true})
	if err != nil {
		t.Errorf("a service: %v", err)
	}
	for i := account.SprayLimit.Free; i < account.NeighborhoodLimit.Free; i++ {
		f.fail("192.0.2."+strconv.Itoa(2+i%200), "user "+strconv.Itoa(i))
	}
	if err := f.checkFrom("192.0.2.250", "jane", right); waitOf(err) == 0 {
		t.Errorf("in the neighborhood: %v", err)
	}
	if err := f.checkFrom("192.0.3.1", "jane", right); err != nil {
		t.Errorf("in another neighborhood: %v", err)
	}
}

// A guesser at an address that many users have logged in from has no more tries than at another one.
func TestGuesserAtASharedAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 50 {
		f.add("user "+strconv.Itoa(i), bcrypt.MinCost)
		f.expect("user "+strconv.Itoa(i), right, nil)
	}
	guesses := 0
	for range 20 {
		for i := range 50 {
			if err := f.check("user "+strconv.Itoa(i), wrong); errors.Is(err, account.ErrIncorrect) {
				guesses++
			}
		}
	}
	if guesses != account.SprayLimit.Free {
		t.Errorf("%d guesses at once, want %d", guesses, account.SprayLimit.Free)
	}
}

// A password that somebody else has known is worth nothing once it is changed.
func TestPlacesOfAPreviousPassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	u := f.add("john.doe", bcrypt.MinCost)
	var stolen []account.Browser
	for i := range 20 {
		if err := f.checkFrom("198.51."+strconv.Itoa(i)+".1", "john.doe", right); err != nil {
			t.Fatal(err)
		}
		stolen = append(stolen, f.WithLogin(account.Browser{}, u, "random "+strconv.Itoa(i)))
	}
	if err := f.store.SetPassword(t.Context(), "john.doe", mustHash(t, right), f.now); err != nil {
		t.Fatal(err)
	}
	guesses := 0
	for range 20 {
		for i, b := range stolen {
			if _, err := f.login(b, "198.51."+strconv.Itoa(i)+".1", wrong); errors.Is(err, account.ErrIncorrect) {
				guesses++
			}
		}
	}
	if guesses != account.AccountLimit.Free {
		t.Errorf("%d guesses at once, want %d", guesses, account.AccountLimit.Free)
	}
}

// While strangers guess from everywhere, the owner never waits in a browser, or at an address, of an earlier login.
func TestKnownPlaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	f.add("john.doe", bcrypt.MinCost)
	u, err := f.login(account.Browser{}, home, right)
	if err != nil {
		t.Fatal(err)
	}
	known := account.ParseBrowser(f.WithLogin(account.Browser{}, u, "random").String())
	guess := func(i int) error {
		return f.checkFrom("198.51."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250), "john.doe", wrong)
	}
	for i := range 500 {
		if wait := waitOf(guess(i)); i > 100 && wait == 0 {
			t.Fatalf("guess %d was compared", i)
		}
		if i%50 != 0 {
			continue
		}
		for name, login := range map[string]func() (account.User, error){
			"the browser elsewhere": func() (account.User, error) { return f.login(known, "203.0.113.9", right) },
			"the address":           func() (account.User, error) { return f.login(account.Browser{}, home, right) },
		} {
			if _, err := login(); err != nil {
				t.Errorf("%s after %d guesses: %v", name, i, err)
			}
		}
	}
	if _, err := f.login(account.Browser{}, "203.0.113.10", right); waitOf(err) == 0 {
		t.Errorf("the owner, as a stranger: %v", err)
	}
}

// Known places have limits too, which do not concern others: somebody may have stolen the cookie.
func TestKnownPlacesAreLimited(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	u := f.add("john.doe", bcrypt.MinCost)
	jane := f.add("jane", bcrypt.MinCost)
	known := f.WithLogin(account.Browser{}, u, "random")
	guesses := 0
	for end := f.now.Add(24 * time.Hour); f.now.Before(end); {
		_, err := f.login(known, "192.0.2."+strconv.Itoa(guesses), wrong)
		if errors.Is(err, account.ErrIncorrect) {
			guesses++
		}
		f.now = f.now.Add(waitOf(err))
	}
	if guesses < 100 || guesses > 130 {
		t.Errorf("%d guesses per day, want about 116", guesses)
	}
	if _, err := f.login(account.Browser{}, "198.51.100.1", right); err != nil {
		t.Errorf("a stranger, meanwhile: %v", err)
	}
	of := func(b account.Browser) error {
		_, err := f.Check(t.Context(), account.Attempt{Username: "jane", Password: right, Address: home, Browser: b})
		return err
	}
	if err := of(known); err != nil {
		t.Errorf("another user of the browser: %v", err)
	}
	if err := of(f.WithLogin(known, jane, "")); err != nil {
		t.Errorf("another known user of the browser: %v", err)
	}
	if err := f.store.SetPassword(t.Context(), "john.doe", mustHash(t, right), f.now); err != nil {
		t.Fatal(err)
	}
	if _, err := f.login(account.Browser{}, home, right); err != nil {
		t.Errorf("after a new password: %v", err)
	}
}

func mustHash(t *testing.T, password string) string {
	t.Helper()
	hash, err := newHasher(t, bcrypt.MinCost).Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// RFC 6749 section 4.3.2: of guesses at once, no more pass than the free ones, however many
// passwords a server checks at once.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	const guesses = 64
	for _, username := range []string{"john.doe", "nobody"} {
		f := newFixture(t)
		f.Gate = account.NewGate(guesses, guesses)
		f.add("john.doe", bcrypt.MinCost)
		errs := make([]error, guesses)
		begin := make(chan struct{})
		var group sync.WaitGroup
		for i := range guesses {
			group.Go(func() {
				<-begin
				_, errs[i] = f.Check(t.Context(), account.Attempt{Username: username, Password: wrong, Address: home})
			})
		}
		close(begin)
		group.Wait()
		compared := 0
		for _, err := range errs {
			switch {
			case errors.Is(err, account.ErrIncorrect):
				compared++
			case waitOf(err) == 0:
				t.Errorf("%s: %v", username, err)
			}
		}
		if compared != freeFailures {
			t.Errorf("%s: %d guesses were compared, want %d", username, compared, freeFailures)
		}
	}
}

// A username is not stored with its failures, since it may be a mistyped password.
func TestThrottleStoresNoUsername(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.expect("my secret password", wrong, account.ErrIncorrect)
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var stored string
	err = db.QueryRowContext(t.Context(), "SELECT account FROM login_failures WHERE address = ''").Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) != 43 || strings.Contains(stored, "secret") {
		t.Errorf("stored %q, want a digest", stored)
	}
}

func TestThrottledError(t *testing.T) {
	t.Parallel()
	want := map[time.Duration]int{time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 15 * time.Minute: 900}
	got := map[time.Duration]int{}
	for wait := range want {
		err := &account.ThrottledError{Wait: wait}
		got[wait] = err.Seconds()
		if !strings.Contains(err.Error(), "wait") {
			t.Errorf("got %q, want a text that says how long to wait", err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}

// Codes have fewer than 100 tries a day, also where a password has made the browser and the address known. Tries of
// passkeys, which take no password, do not make the user wait there.
func TestCodesCountForTheAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.NameKey = []byte("key")
	f.add("john.doe", bcrypt.MinCost)
	u, err := f.login(account.Browser{}, home, right)
	if err != nil {
		t.Fatal(err)
	}
	const tests = 288 // in a day
	tries, passkeys := 0, 0
	for i := range tests {
		known := f.WithLogin(account.Browser{}, u, "random "+strconv.Itoa(i))
		for _, address := range []string{home, "203.0.113." + strconv.Itoa(i%250)} {
			if _, err := f.ReserveCode(t.Context(), u, address, known); err == nil {
				tries++
			}
		}
		if _, err := f.ReservePasskey(t.Context(), u, home, known); err == nil {
			passkeys++
		}
		f.now = f.now.Add(24 * time.Hour / tests)
	}
	if tries < 60 || tries >= 100 {
		t.Errorf("%d tries of codes in a day, want fewer than 100", tries)
	}
	if passkeys != tests {
		t.Errorf("%d tries of passkeys in known browsers, want all", passkeys)
	}
}
