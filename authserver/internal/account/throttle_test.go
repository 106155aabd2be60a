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
	waits := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900} // in seconds, after the free failures
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

// A guesser at one address cannot keep the owner out at another one, however long it guesses.
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
	for range freeFailures { // one host may use a /64
		expectWaits("2001:db8:1:2::1", false)
	}
	expectWaits("2001:db8:1:2:aaaa::2", true)
	expectWaits("2001:db8:1:3::1", false)
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

// NIST SP 800-63B section 5.2.2: somebody who guesses all day gets about a hundred guesses.
func TestThrottleGuessesPerDay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	guesses := 0
	for end := f.now.Add(24 * time.Hour); f.now.Before(end); {
		err := f.check("john.doe", wrong)
		if errors.Is(err, account.ErrIncorrect) {
			guesses++
		}
		f.now = f.now.Add(waitOf(err))
	}
	if guesses < 50 || guesses > 150 {
		t.Errorf("%d guesses per day, want 50 to 150", guesses)
	}
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
