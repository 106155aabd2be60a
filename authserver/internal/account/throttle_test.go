package account_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// freeFailures is how many failures cost no wait.
const freeFailures = 10

// waitOf returns how long an error says to wait; nothing if it is not about waiting.
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
		t.Errorf("%v: a wait of %v, want %v", err, got, want)
	}
}

// CHECKLIST 16, 68: failed attempts slow an account down, known or not, the right
// password included; time and success speed it up again.
func TestThrottle(t *testing.T) {
	waits := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900} // after the free ones, in seconds
	for _, username := range []string{"john.doe", "nobody"} {
		t.Run(username, func(t *testing.T) {
			h := newHouse(t)
			h.add("john.doe", bcrypt.MinCost)
			for range freeFailures {
				h.expect(username, wrong, account.ErrIncorrect)
			}
			for _, seconds := range waits {
				wait := time.Duration(seconds) * time.Second
				expectWait(t, h.check(username, wrong), wait)
				expectWait(t, h.check(username, right), wait)
				h.now = h.now.Add(wait - time.Second)
				expectWait(t, h.check(username, right), time.Second) // to the last
				h.now = h.now.Add(time.Second)
				h.expect(username, wrong, account.ErrIncorrect)
			}
		})
	}
}

func TestThrottleForgets(t *testing.T) {
	tests := []struct {
		name string
		then func(h *house) // after one failure more than the free ones
	}{
		{"a success", func(h *house) {
			h.now = h.now.Add(2 * time.Second)
			h.expect("john.doe", right, nil)
		}},
		{"a day without a failure", func(h *house) { h.now = h.now.Add(account.ForgetAfter + time.Second) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.add("john.doe", bcrypt.MinCost)
			for range freeFailures {
				h.expect("john.doe", wrong, account.ErrIncorrect)
			}
			h.now = h.now.Add(time.Second)
			h.expect("john.doe", wrong, account.ErrIncorrect)
			expectWait(t, h.check("john.doe", right), 2*time.Second)
			tt.then(h)
			for range freeFailures {
				h.expect("john.doe", wrong, account.ErrIncorrect)
			}
			expectWait(t, h.check("john.doe", right), time.Second)
		})
	}
}

// One account's failures slow no other one down, not even one that looks like it.
func TestThrottleIsForOneAccount(t *testing.T) {
	h := newHouse(t)
	for _, username := range []string{"john.doe", "John.Doe", "jane.smith"} {
		h.add(username, bcrypt.MinCost)
	}
	for range freeFailures {
		h.expect("john.doe", wrong, account.ErrIncorrect)
	}
	expectWait(t, h.check("john.doe", right), time.Second)
	h.expect("John.Doe", right, nil)
	h.expect("jane.smith", right, nil)
}

// CHECKLIST 68: a guesser who tries all day long gets about a hundred tries.
func TestThrottleLeavesFewTriesADay(t *testing.T) {
	h := newHouse(t)
	tries := 0
	for end := h.now.Add(24 * time.Hour); h.now.Before(end); {
		err := h.check("john.doe", wrong)
		if errors.Is(err, account.ErrIncorrect) {
			tries++
		}
		h.now = h.now.Add(waitOf(err))
	}
	if tries < 50 || tries > 150 {
		t.Errorf("%d tries a day", tries)
	}
}

// CHECKLIST 16: however many guesses come at once, no more get past the throttle than
// the free ones and those that were at the gate's places already.
func TestParallelGuesses(t *testing.T) {
	const guesses, places = 60, 2 // places are those of newHouse
	for _, username := range []string{"john.doe", "nobody"} {
		h := newHouse(t)
		h.add("john.doe", bcrypt.MinCost)
		errs := make([]error, guesses)
		begin := make(chan struct{})
		var group sync.WaitGroup
		for i := range guesses {
			group.Go(func() {
				<-begin
				_, errs[i] = h.Check(t.Context(), account.Attempt{Username: username, Password: wrong})
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
		if compared < freeFailures || compared >= freeFailures+places {
			t.Errorf("%s: %d guesses were compared", username, compared)
		}
	}
}

// People type passwords where usernames belong: what was typed is not stored.
func TestThrottleStoresNoUsername(t *testing.T) {
	h := newHouse(t)
	h.expect("my secret password", wrong, account.ErrIncorrect)
	db, err := sql.Open("sqlite", h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var stored string
	if err := db.QueryRowContext(t.Context(), "SELECT account FROM failed_logins").Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if len(stored) != 43 || strings.Contains(stored, "secret") {
		t.Errorf("stored: %q", stored)
	}
}

func TestThrottledError(t *testing.T) {
	want := map[time.Duration]int{time.Nanosecond: 1, time.Second: 1, time.Second + 1: 2, 15 * time.Minute: 900}
	got := map[time.Duration]int{}
	for wait := range want {
		err := &account.ThrottledError{Wait: wait}
		got[wait] = err.Seconds()
		if !strings.Contains(err.Error(), "wait") {
			t.Errorf("the error says %q", err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}
