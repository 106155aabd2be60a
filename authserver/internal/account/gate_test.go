package account_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// gateTest sends jobs through a gate. Each job runs until the test finishes it.
type gateTest struct {
	t       *testing.T
	gate    *account.Gate
	release chan struct{}
	entered []int
	results chan error
}

// testGate runs test in a bubble, in which synctest.Wait returns once every job runs, waits
// or has returned.
func testGate(t *testing.T, places, queue int, test func(g *gateTest)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateTest{
			t:       t,
			gate:    account.NewGate(places, queue),
			release: make(chan struct{}),
			results: make(chan error, 100),
		}
		test(g)
		g.expect(0, 0) // the bubble fails the test if a job is left
	})
}

// send starts a job and returns once it runs, waits or has returned.
func (g *gateTest) send(ctx context.Context, name int) {
	go func() {
		g.results <- g.gate.Do(ctx, func() {
			g.entered = append(g.entered, name) // no race: send waits
			<-g.release
		})
	}()
	synctest.Wait()
}

// finish ends one of the running jobs.
func (g *gateTest) finish() {
	g.t.Helper()
	g.release <- struct{}{}
	synctest.Wait()
	if err := <-g.results; err != nil {
		g.t.Errorf("a job that ran: got error %v", err)
	}
}

func (g *gateTest) expect(running, waiting int) {
	g.t.Helper()
	if diff := cmp.Diff([]int{running, waiting}, []int{g.gate.Running(), g.gate.Waiting()}); diff != "" {
		g.t.Errorf("running and waiting (-want +got):\n%s", diff)
	}
}

func TestGateLimitsJobs(t *testing.T) {
	testGate(t, 2, 3, func(g *gateTest) {
		for i := range 5 {
			g.send(g.t.Context(), i)
			g.expect(min(i+1, 2), max(i-1, 0))
		}
		for range 3 { // the queue is full
			g.send(g.t.Context(), 99)
			if err := <-g.results; !errors.Is(err, account.ErrOverloaded) {
				t.Errorf("sixth job: got %v, want %v", err, account.ErrOverloaded)
			}
			g.expect(2, 3)
		}
		g.finish()
		g.expect(2, 2)
		g.send(g.t.Context(), 5) // the queue has room again
		g.expect(2, 3)
		for range 5 {
			g.finish()
		}
		// First come, first served. Refused jobs never ran.
		if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, g.entered); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestGateCanceled(t *testing.T) {
	testGate(t, 1, 2, func(g *gateTest) {
		g.send(g.t.Context(), 0)
		ctx, cancel := context.WithCancel(g.t.Context())
		g.send(ctx, 1)
		g.send(g.t.Context(), 2)
		g.expect(1, 2)
		cancel()
		synctest.Wait()
		g.expect(1, 1)
		if err := <-g.results; !errors.Is(err, context.Canceled) {
			t.Errorf("canceled job: got %v, want %v", err, context.Canceled)
		}
		g.finish()
		g.expect(1, 0)
		g.finish()
		if diff := cmp.Diff([]int{0, 2}, g.entered); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// A panic frees the place, since net/http recovers from panics in handlers.
func TestGatePanic(t *testing.T) {
	testGate(t, 1, 1, func(g *gateTest) {
		for range 3 {
			func() {
				defer func() { _ = recover() }()
				_ = g.gate.Do(g.t.Context(), func() { panic("on purpose") })
			}()
		}
		g.expect(0, 0)
		g.send(g.t.Context(), 0)
		g.finish()
	})
}

// Values below 1 count as 1.
func TestGateMinimum(t *testing.T) {
	testGate(t, 0, -1, func(g *gateTest) {
		g.send(g.t.Context(), 0)
		g.send(g.t.Context(), 1)
		g.expect(1, 1)
		g.finish()
		g.finish()
	})
}
