package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

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
		_, err := f.Check(ctx, account.Attempt{Username: username, Password: password})
		return costs, err
	}
}

// RFC 6749 section 5.2 and OWASP: every failed login does the same bcrypt work, whatever
// the reason and whatever the cost of the user's hash. A computation at cost n does 2^n
// units of work.
func TestFailedLoginsDoTheSameWork(t *testing.T) {
	t.Parallel()
	const cost = bcrypt.MinCost + 2
	for _, tt := range []struct {
		name       string
		configured int
	}{
		{"hashes at the configured cost", cost},
		{"hashes from before the cost was lowered", bcrypt.MinCost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			work := f.countWork(tt.configured)
			f.add("highest cost", cost)
			if costs, err := work(t.Context(), "highest cost", right); err != nil || len(costs) != 1 {
				t.Fatalf("login: costs %v, %v", costs, err)
			}
			checkFailedWork(f, work, cost)
		})
	}
}

// checkFailedWork checks the work of failed logins of users with hashes of up to the given
// cost.
func checkFailedWork(f *fixture, work func(context.Context, string, string) ([]int, error), cost int) {
	f.t.Helper()
	f.add("cost-1", cost-1)
	f.add("cost-2", cost-2)
	f.add("disabled", cost)
	f.add("disabled, cost-2", cost-2)
	f.addHash("invalid hash", "not a hash")
	for _, username := range []string{"disabled", "disabled, cost-2"} {
		if err := f.store.DisableUser(f.t.Context(), username, f.now); err != nil {
			f.t.Fatal(err)
		}
	}
	tooLong := strings.Repeat("x", 100)
	for _, tt := range []struct {
		username, password string
		want               []int
	}{
		{"highest cost", wrong, []int{cost}},
		{"highest cost", tooLong, []int{cost}},
		{"cost-1", wrong, []int{cost - 1, cost - 1}},
		{"cost-2", wrong, []int{cost - 2, cost - 2, cost - 1}},
		{"cost-2", tooLong, []int{cost}},
		{"nobody", wrong, []int{cost}},
		{"nobody", tooLong, []int{cost}},
		{"disabled", right, []int{cost}},
		{"disabled", wrong, []int{cost}},
		{"disabled, cost-2", right, []int{cost}},
		{"disabled, cost-2", wrong, []int{cost}},
		{"invalid hash", wrong, []int{cost}},
	} {
		got, err := work(f.t.Context(), tt.username, tt.password)
		if !errors.Is(err, account.ErrIncorrect) {
			f.t.Errorf("%s with %q: got error %v, want %v", tt.username, tt.password, err, account.ErrIncorrect)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			f.t.Errorf("%s with %q: costs (-want +got):\n%s", tt.username, tt.password, diff)
		}
		units := 0
		for _, c := range got {
			units += 1 << c
		}
		if units != 1<<cost {
			f.t.Errorf("%s with %q: %d units of work, want %d", tt.username, tt.password, units, 1<<cost)
		}
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
	expectNone(t.Context(), "john.doe", func(err error) bool { return errors.Is(err, account.ErrOverloaded) })
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
	holder.Go(func() { _ = f.Gate.Do(f.t.Context(), func() { close(busy); <-done }) })
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
		go func() { results <- f.Gate.Do(f.t.Context(), func() {}) }()
	}
	if err := <-results; !errors.Is(err, account.ErrOverloaded) { // so the other one waits
		f.t.Fatalf("got %v, want %v", err, account.ErrOverloaded)
	}
	return func() {
		free()
		if err := <-results; err != nil {
			f.t.Errorf("the job that waited: %v", err)
		}
	}
}
