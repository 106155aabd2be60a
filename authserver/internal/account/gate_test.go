package account_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// crowd sends pieces of work through a gate, each of which lasts until it is let go.
type crowd struct {
	t       *testing.T
	gate    *account.Gate
	letGo   chan struct{}
	entered []int
	results chan error
}

// throughGate runs test in a bubble: synctest.Wait returns when every piece of work
// runs, waits or has come back.
func throughGate(t *testing.T, places, queue int, test func(c *crowd)) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, gate: account.NewGate(places, queue), letGo: make(chan struct{}), results: make(chan error, 100)}
		test(c)
		c.expect(0, 0) // and nothing goes on, or the bubble says so
	})
}

// send starts a piece of work and waits until it runs, waits or has come back.
func (c *crowd) send(ctx context.Context, name int) {
	go func() {
		c.results <- c.gate.Do(ctx, func() {
			c.entered = append(c.entered, name) // one at a time: send waits
			<-c.letGo
		})
	}()
	synctest.Wait()
}

// finish ends one of the pieces of work that run.
func (c *crowd) finish() {
	c.t.Helper()
	c.letGo <- struct{}{}
	synctest.Wait()
	if err := <-c.results; err != nil {
		c.t.Errorf("a piece of work that ran: %v", err)
	}
}

func (c *crowd) expect(running, waiting int) {
	c.t.Helper()
	if diff := cmp.Diff([]int{running, waiting}, []int{c.gate.Running(), c.gate.Waiting()}); diff != "" {
		c.t.Errorf("running and waiting (-want +got):\n%s", diff)
	}
}

func TestGateLetsFewRunAndFewWait(t *testing.T) {
	throughGate(t, 2, 3, func(c *crowd) {
		for i := range 5 {
			c.send(c.t.Context(), i)
			c.expect(min(i+1, 2), max(i-1, 0))
		}
		for range 3 { // one too many, at any time
			c.send(c.t.Context(), 99)
			if err := <-c.results; !errors.Is(err, account.ErrOverloaded) {
				t.Errorf("a sixth: %v", err)
			}
			c.expect(2, 3)
		}
		c.finish()
		c.expect(2, 2)
		c.send(c.t.Context(), 5) // there is room again
		c.expect(2, 3)
		for range 5 {
			c.finish()
		}
		// First come, first served, and whoever was sent away never ran.
		if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, c.entered); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestGateForgetsWhoGivesUp(t *testing.T) {
	throughGate(t, 1, 2, func(c *crowd) {
		c.send(c.t.Context(), 0)
		ctx, cancel := context.WithCancel(c.t.Context())
		c.send(ctx, 1)
		c.send(c.t.Context(), 2)
		c.expect(1, 2)
		cancel()
		synctest.Wait()
		c.expect(1, 1)
		if err := <-c.results; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
		c.finish()
		c.expect(1, 0)
		c.finish()
		if diff := cmp.Diff([]int{0, 2}, c.entered); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// net/http recovers from the panic of a handler: the place must be free again then.
func TestGateSurvivesPanics(t *testing.T) {
	throughGate(t, 1, 1, func(c *crowd) {
		for range 3 {
			func() {
				defer func() { _ = recover() }()
				_ = c.gate.Do(c.t.Context(), func() { panic("in the middle of it") })
			}()
		}
		c.expect(0, 0)
		c.send(c.t.Context(), 0)
		c.finish()
	})
}

func TestGateIsNeverClosed(t *testing.T) {
	throughGate(t, 0, -1, func(c *crowd) {
		c.send(c.t.Context(), 0)
		c.send(c.t.Context(), 1)
		c.expect(1, 1)
		c.finish()
		c.finish()
	})
}
