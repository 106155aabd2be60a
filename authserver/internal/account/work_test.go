package account_test

import (
	"context"
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

// countWork sets a new Hasher of the given cost. The function that it returns logs in and
// returns the cost of each bcrypt computation, in order.
func (f *fixture) countWork(cost int) func(ctx context.Context, username, password string) ([]int, error) {
	f.t.Helper()
	f.Hasher = newHasher(f.t, cost)
	var costs []int
	f.Hasher.CountWork(func(cost int) { costs = append(costs, cost) })
	return func(ctx context.Context, username, password string) ([]int, error) {
		costs = nil
		_, err := f.Check(ctx, account.Attempt{Username: username, Password: password, Address: home, OfService: true})
		return costs, err
	}
}

// RFC 6749 section 5.2 and OWASP: what a failed login costs depends on the username and on
// what was typed, and not on whether the user exists, is disabled or may log in.
func TestFailedLoginsDoTheSameWork(t *testing.T) {
	t.Parallel()
	const low, high = bcrypt.MinCost, bcrypt.MinCost + 2
	f := newFixture(t)
	work := f.countWork(low)
	f.add("low", low)
	f.add("high", high)
	f.add("disabled", high)
	demo := f.addDemo("demo", high)
	if err := f.store.DisableUser(t.Context(), "disabled", f.now); err != nil {
		t.Fatal(err)
	}
	tooLong, decomposed := strings.Repeat("x", 100), "passwo\u0308rd"
	for _, tt := range []struct {
		username, password string
		want               []int
	}{
		{"low", wrong, []int{low}},
		{"low", tooLong, []int{low}},
		{"low", decomposed, []int{low, low}},
		{"high", wrong, []int{high}},
		{"high", tooLong, []int{high}},
		{"high", decomposed, []int{high, high}},
		{"disabled", right, []int{high}},
		{"disabled", wrong, []int{high}},
		{"disabled", tooLong, []int{high}},
		{demo.Username, right, []int{high}},
		{demo.Username, wrong, []int{high}},
	} {
		got, err := work(t.Context(), tt.username, tt.password)
		if !errors.Is(err, account.ErrIncorrect) {
			t.Errorf("%s with %q: got error %v, want %v", tt.username, tt.password, err, account.ErrIncorrect)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s with %q: costs (-want +got):\n%s", tt.username, tt.password, diff)
		}
	}
}

// Unknown usernames cost what users cost: each the same each time, and together in the
// proportion of the stored hashes. So the cost of a login tells nobody which names exist, even
// the first time and even if the costs differ.
func TestUnknownUsersCostWhatUsersCost(t *testing.T) {
	t.Parallel()
	const low, high = bcrypt.MinCost, bcrypt.MinCost + 1
	f := newFixture(t)
	f.NameKey = []byte("a key that is the same in each run")
	work := f.countWork(low)
	spent := func(username, password string) int {
		t.Helper()
		costs, err := work(t.Context(), username, password)
		if !errors.Is(err, account.ErrIncorrect) || len(costs) != 1 {
			t.Fatalf("%s: costs %v, error %v", username, costs, err)
		}
		return costs[0]
	}
	if got := spent("nobody", wrong); got != low {
		t.Errorf("without users: cost %d, want the configured one", got)
	}
	f.add("a user", low)
	f.addHash("invalid hash", "not a hash")
	for i := range 3 {
		f.add("costly "+strconv.Itoa(i+2), high) // as another process would
	}
	f.now = f.now.Add(10 * time.Second) // the costs are read again

	const names = 400
	counts := map[int]int{}
	for i := range names {
		name := "unknown " + strconv.Itoa(i)
		first := spent(name, wrong)
		counts[first]++
		if again := spent(name, strings.Repeat("x", 100)); i < 20 && again != first {
			t.Errorf("%s: cost %d, then %d", name, first, again)
		}
	}
	if counts[low]+counts[high] != names || counts[high] < names*65/100 || counts[high] > names*85/100 {
		t.Errorf("costs of unknown names: %v, want three quarters of cost %d", counts, high)
	}
	if a, b := spent("invalid hash", wrong), spent("invalid hash", right); a != b {
		t.Errorf("a user with an invalid hash: cost %d, then %d", a, b)
	}
}

// A login that is throttled, canceled or refused by the gate does no bcrypt work.
func TestRefusedLoginsDoNoWork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	work := f.countWork(bcrypt.MinCost)
	f.add("john.doe", bcrypt.MinCost)
	f.add("throttled", bcrypt.MinCost)
	for range freeFailures {
		f.expect("throttled", wrong, account.ErrIncorrect)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expectNone := func(ctx context.Context, username string, wanted func(error) bool) {
		t.Helper()
		if costs, err := work(ctx, username, right); !wanted(err) || len(costs) > 0 {
			t.Errorf("%s: costs %v, error %v", username, costs, err)
		}
	}
	expectNone(t.Context(), "throttled", func(err error) bool { return waitOf(err) > 0 })
	release := f.fillGate()
	expectNone(t.Context(), "john.doe", isOverloaded)
	release()
	release = f.occupyGate()
	expectNone(canceled, "john.doe", func(err error) bool { return errors.Is(err, context.Canceled) })
	release()
	if costs, err := work(t.Context(), "john.doe", right); err != nil || len(costs) != 1 {
		t.Errorf("login: costs %v, error %v", costs, err)
	}
}

// occupyGate sets a new gate with a single place, which is taken until release is called,
// and a queue of one.
func (f *fixture) occupyGate() (release func()) {
	f.Gate = account.NewGate(1, 1)
	busy, done := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() { _ = f.Gate.Do(f.t.Context(), "192.0.2.1", func() error { close(busy); <-done; return nil }) })
	<-busy
	return func() {
		close(done)
		holder.Wait()
	}
}

// fillGate sets a new gate whose place and queue are taken until release is called.
func (f *fixture) fillGate() (release func()) {
	f.t.Helper()
	free := f.occupyGate()
	results := make(chan error, 2)
	for range 2 {
		go func() { results <- f.Gate.Do(f.t.Context(), "192.0.2.1", func() error { return nil }) }()
	}
	if err := <-results; !isOverloaded(err) { // so the other one waits
		f.t.Fatalf("got %v, want an OverloadedError", err)
	}
	return func() {
		free()
		if err := <-results; err != nil {
			f.t.Errorf("the job that waited: %v", err)
		}
	}
}
