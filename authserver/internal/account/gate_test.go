package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// gateTest sends work through a gate. Each piece of work lasts until finish ends it.
type gateTest struct {
	t       *testing.T
	gate    *account.Gate
	release map[string]chan error
	started []string // names of work, in the order in which it started
	refused []string // names of work that got an OverloadedError, with the seconds if it says more than 1
}

// testGate runs test in a synctest bubble and checks that nothing is left over.
func testGate(t *testing.T, places, queue int, test func(g *gateTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &gateTest{t: t, gate: account.NewGate(places, queue), release: map[string]chan error{}}
		test(g)
		g.expect(0, 0)
	})
}

// send starts work and returns when it runs, waits or has been refused. The name is an
// address and a number: "a1" is work of the address a.
func (g *gateTest) send(ctx context.Context, names ...string) {
	g.t.Helper()
	for _, name := range names {
		release := make(chan error)
		g.release[name] = release
		go func() {
			err := g.gate.Do(ctx, name[:1], func() error {
				g.started = append(g.started, name)
				return <-release
			})
			var overloaded *account.OverloadedError
			switch {
			case errors.As(err, &overloaded) && overloaded.Seconds() > 1:
				g.refused = append(g.refused, fmt.Sprintf("%s:%d", name, overloaded.Seconds()))
			case errors.As(err, &overloaded):
				g.refused = append(g.refused, name)
			case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, account.ErrIncorrect):
				g.t.Errorf("work %s: %v", name, err)
			}
		}()
		synctest.Wait()
	}
}

// finish ends work that runs.
func (g *gateTest) finish(names ...string) { g.end(nil, names...) }

// fail ends work that runs as a login that failed.
func (g *gateTest) fail(names ...string) { g.end(account.ErrIncorrect, names...) }

func (g *gateTest) end(err error, names ...string) {
	for _, name := range names {
		g.release[name] <- err
		synctest.Wait()
	}
}

func (g *gateTest) expect(running, waiting int) {
	g.t.Helper()
	if diff := cmp.Diff([]int{running, waiting}, []int{g.gate.Running(), g.gate.Waiting()}); diff != "" {
		g.t.Errorf("running and waiting (-want +got):\n%s", diff)
	}
}

func (g *gateTest) expectStarted(names string) {
	g.t.Helper()
	if diff := cmp.Diff(names, strings.Join(g.started, " ")); diff != "" {
		g.t.Errorf("order of work (-want +got):\n%s", diff)
	}
}

func (g *gateTest) expectRefused(names string) {
	g.t.Helper()
	if diff := cmp.Diff(names, strings.Join(g.refused, " ")); diff != "" {
		g.t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestGateGivesOneAddressEveryPlaceInOrder(t *testing.T) {
	testGate(t, 2, 3, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "a2", "a3", "a4", "a5")
		g.expect(2, 3)
		g.send(g.t.Context(), "a6", "a7")
		g.expectRefused("a6 a7")
		g.finish("a1")
		g.expect(2, 2)
		g.send(g.t.Context(), "a8") // there is room again
		g.finish("a2", "a3", "a4", "a5", "a8")
		g.expectStarted("a1 a2 a3 a4 a5 a8")
	})
}

func TestGateGivesAFreePlaceToTheAddressWithLeastRunning(t *testing.T) {
	testGate(t, 2, 10, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "a2", "a3", "a4", "b1", "b2")
		g.finish("a1") // b has nothing running
		g.expectStarted("a1 a2 b1")
		g.finish("a2", "b1", "a3", "b2", "a4")
		g.expectStarted("a1 a2 b1 a3 b2 a4")
	})
}

func TestGateLetsAddressesTakeTurns(t *testing.T) {
	testGate(t, 1, 10, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "a2", "a3", "b1", "b2", "c1")
		g.finish("a1", "a2", "b1", "c1", "a3", "b2")
		g.expectStarted("a1 a2 b1 c1 a3 b2")
	})
}

// Addresses that come and go must not overtake one that waits.
func TestGateStarvesNoAddress(t *testing.T) {
	testGate(t, 1, 10, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "z1")
		for _, newcomer := range "bcdef" {
			g.send(g.t.Context(), fmt.Sprintf("%c1", newcomer))
		}
		g.finish("a1")
		g.expectStarted("a1 z1")
		g.finish("z1", "b1", "c1", "d1", "e1", "f1")
	})
}

func TestGateRefusesTheNewestOfTheLongestQueue(t *testing.T) {
	testGate(t, 1, 3, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "a2", "a3", "a4")
		g.send(g.t.Context(), "b1") // a4 gives way
		g.expectRefused("a4")
		g.send(g.t.Context(), "b2") // b would have as much as a
		g.expectRefused("a4 b2")
		g.send(g.t.Context(), "c1") // a3 gives way
		g.expectRefused("a4 b2 a3")
		g.send(g.t.Context(), "d1") // nobody has more than d would have
		g.expectRefused("a4 b2 a3 d1")
		g.expect(1, 3)
		g.finish("a1", "a2", "b1", "c1")
	})
}

// Guesses from many addresses must not keep out people who know their password.
func TestGatePutsAddressesWhoseLoginFailedLast(t *testing.T) {
	testGate(t, 1, 2, func(g *gateTest) {
		g.send(g.t.Context(), "a1")
		g.fail("a1")
		g.send(g.t.Context(), "b1", "a2", "c1")
		g.finish("b1")
		g.expectStarted("a1 b1 c1")
		g.send(g.t.Context(), "d1", "e1") // a2 gives way, though no queue is longer
		g.expectRefused("a2")
		g.send(g.t.Context(), "a3") // and finds no room
		g.expectRefused("a2 a3")
		g.finish("c1", "d1", "e1")
	})
}

func TestGateGivesEveryFourthPlaceToTheNextAddress(t *testing.T) {
	testGate(t, 1, 10, func(g *gateTest) {
		g.send(g.t.Context(), "a1")
		g.fail("a1")
		g.send(g.t.Context(), "b1", "a2", "c1", "d1")
		g.finish("b1", "c1", "a2", "d1")
		g.expectStarted("a1 b1 c1 a2 d1")
	})
}

func TestGateForgetsAFailureAfterASuccess(t *testing.T) {
	testGate(t, 1, 10, func(g *gateTest) {
		g.send(g.t.Context(), "a1")
		g.fail("a1")
		g.send(g.t.Context(), "a2")
		g.finish("a2")
		g.send(g.t.Context(), "b1", "a3", "c1")
		g.finish("b1", "a3", "c1")
		g.expectStarted("a1 a2 b1 a3 c1")
	})
}

func TestGateFreesTheRoomOfCanceledWork(t *testing.T) {
	testGate(t, 1, 2, func(g *gateTest) {
		g.send(g.t.Context(), "a1")
		ctx, cancel := context.WithCancel(g.t.Context())
		g.send(ctx, "a2")
		g.send(g.t.Context(), "a3")
		g.expect(1, 2)
		cancel()
		synctest.Wait()
		g.expect(1, 1)
		g.finish("a1", "a3")
		g.expectStarted("a1 a3")
	})
}

// net/http recovers from the panic of a handler: the place must be free again then.
func TestGateFreesThePlaceOfWorkThatPanics(t *testing.T) {
	testGate(t, 1, 1, func(g *gateTest) {
		for range 3 {
			func() {
				defer func() { _ = recover() }()
				_ = g.gate.Do(g.t.Context(), "a", func() error { panic("panic of the test") })
			}()
		}
		g.expect(0, 0)
		g.send(g.t.Context(), "a1")
		g.finish("a1")
	})
}

func TestGateHasAtLeastOnePlaceAndRoomForOne(t *testing.T) {
	testGate(t, 0, -1, func(g *gateTest) {
		g.send(g.t.Context(), "a1", "a2")
		g.expect(1, 1)
		g.finish("a1", "a2")
	})
}

// learn makes the gate measure one login that takes d, and limits the wait.
func (g *gateTest) learn(d, wait time.Duration) {
	g.gate.Wait = wait
	_ = g.gate.Do(g.t.Context(), "z", func() error { time.Sleep(d); return nil })
}

// Work that would wait longer than Wait is refused at once with the time that it would wait.
func TestGateRefusesWorkThatWouldWaitTooLong(t *testing.T) {
	testGate(t, 2, 100, func(g *gateTest) {
		g.gate.Wait = 5 * time.Second
		g.send(g.t.Context(), "a1", "a2", "a3", "a4", "a5", "a6", "a7") // nothing is known yet
		time.Sleep(2 * time.Second)
		g.finish("a1") // a login takes 2 s, so two places serve one a second
		g.expect(2, 4)
		g.send(g.t.Context(), "a8", "a9")
		g.expectRefused("a9:6")
		g.send(g.t.Context(), "b1") // its address goes next
		g.expectRefused("a9:6")
		g.finish("a2", "a3", "b1", "a4", "a5", "a6", "a7", "a8")
		g.expectStarted("a1 a2 a3 b1 a4 a5 a6 a7 a8")
	})
}

// An address whose last login failed waits for others, except at every fourth place.
func TestGateEstimatesTheWaitAfterAFailure(t *testing.T) {
	testGate(t, 1, 100, func(g *gateTest) {
		g.learn(time.Second, 5*time.Second)
		g.send(g.t.Context(), "f1")
		g.fail("f1")
		g.send(g.t.Context(), "a1", "b1", "c1", "d1", "e1")
		g.send(g.t.Context(), "f2", "f3") // f2 is fourth at the latest, f3 eighth but the others are fewer
		g.expectRefused("f3:6")
		g.send(g.t.Context(), "g1") // after the other four and, at the fourth place, f2
		g.expectRefused("f3:6 g1:6")
		g.finish(strings.Fields("a1 b1 c1 d1 e1 f2")...)
	})
}

// The estimate of what a login takes follows the last logins.
func TestGateForgetsHowLongLoginsTook(t *testing.T) {
	testGate(t, 1, 100, func(g *gateTest) {
		g.learn(time.Minute, 5*time.Second)
		g.send(g.t.Context(), "a1", "b1")
		g.expectRefused("b1:60")
		g.finish("a1")
		for range 30 {
			g.learn(time.Second, 5*time.Second)
		}
		g.send(g.t.Context(), "a2", "b2")
		g.expectRefused("b1:60")
		g.finish("a2", "b2")
	})
}

// The estimate may be too short: logins that arrive later may go first.
func TestGateRefusesWorkThatHasWaitedTooLong(t *testing.T) {
	testGate(t, 1, 100, func(g *gateTest) {
		g.learn(time.Second, 5*time.Second)
		g.send(g.t.Context(), "a1", "b1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		g.expectRefused("b1:5")
		g.expect(1, 0)
		g.finish("a1")
	})
}

// No interleaving may lose a place or let more work run than there are places.
func TestGateKeepsItsLimitsUnderConcurrency(t *testing.T) {
	gate := account.NewGate(3, 20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for worker := range 32 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 200 {
				work := ctx
				if i%7 == worker%7 {
					c, end := context.WithCancel(ctx)
					end()
					work = c
				}
				_ = gate.Do(work, fmt.Sprint(worker%5), func() error {
					if n := gate.Running(); n < 1 || n > 3 {
						t.Errorf("%d run at once", n)
					}
					return nil
				})
			}
		}()
	}
	for range 32 {
		<-done
	}
	cancel()
	if gate.Running() != 0 || gate.Waiting() != 0 {
		t.Errorf("left over: %d running, %d waiting", gate.Running(), gate.Waiting())
	}
}

// The gate tells how long work has waited, and whether it was refused.
func TestGateObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := account.NewGate(1, 1)
		gate.Wait = 5 * time.Second
		var mu sync.Mutex
		waits := map[error][]time.Duration{}
		var overloaded *account.OverloadedError
		gate.Observe = func(waited time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &overloaded) {
				err = errRefused
			}
			waits[err] = append(waits[err], waited)
		}
		for range 2 { // one runs for two seconds, and one waits for it
			go func() {
				_ = gate.Do(t.Context(), "a", func() error { time.Sleep(2 * time.Second); return nil })
			}()
			synctest.Wait()
		}
		if err := gate.Do(t.Context(), "a", func() error { return nil }); !errors.As(err, &overloaded) {
			t.Errorf("a third one: %v", err)
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		want := map[error][]time.Duration{nil: {0, 2 * time.Second}, errRefused: {0}}
		if diff := cmp.Diff(want[nil], waits[nil]); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[errRefused], waits[errRefused]); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
	})
}

var errRefused = errors.New("refused")
