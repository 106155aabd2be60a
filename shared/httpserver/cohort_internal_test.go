package httpserver

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testCohort is a cohort on a clock of its own.
type testCohort struct {
	*cohort
	t    *testing.T
	at   time.Duration // by the clock
	took time.Duration // what a wait takes
	done int           // waits
}

func newTestCohort(t *testing.T) *testCohort {
	c := &testCohort{t: t}
	c.cohort = &cohort{
		now:      func() time.Duration { return c.at },
		yield:    func() { c.done++; c.at += c.took },
		stopping: new(atomic.Bool),
	}
	return c
}

// waits fails the test unless a request waits, or does not, as wanted.
func (c *testCohort) waits(wanted bool) {
	c.t.Helper()
	before := c.done
	if c.wait(); (c.done > before) != wanted {
		c.t.Errorf("at %v: it waited %d times, wanted: %t", c.at, c.done-before, wanted)
	}
}

// As long as waits are short, there is no end to them.
func TestCohortWaits(t *testing.T) {
	c := newTestCohort(t)
	c.took = longWait
	for range 10_000 {
		c.waits(true)
	}
}

// Long waits take a twentieth of the time at the most, but for a second's share ahead.
func TestCohortBoundsLongWaits(t *testing.T) {
	for _, took := range []time.Duration{longWait + 1, 7 * time.Millisecond, 300 * time.Millisecond} {
		c := newTestCohort(t)
		c.took = took
		for c.at < time.Hour {
			before := c.done
			if c.wait(); c.done == before {
				c.at += took / 3
			}
		}
		total, most := time.Duration(c.done)*took, (time.Hour+longWaitAdvance)/longWaitShare+took
		if total > most || total < most*9/10 {
			t.Errorf("waits of %v took %v in an hour, not %v", took, total, most)
		}
	}
}

// When the time of long waits is used up, it is long ones that it takes to use it up again.
func TestCohortGoesOnAfterLongWaits(t *testing.T) {
	c := newTestCohort(t)
	c.took = longWaitAdvance / longWaitShare // all that there is ahead
	c.waits(true)
	c.waits(true) // in that time, a twentieth of it came to be free
	free := 2*longWaitShare*c.took - longWaitAdvance
	c.waits(false)
	c.at = free - 1
	c.waits(false)
	c.at, c.took = free, 0
	c.waits(true)
	c.took = longWait + 1
	c.waits(true)
	c.waits(false)
}

// Time in which several wait for long is counted once.
func TestCohortCountsTimeOnce(t *testing.T) {
	const ms = time.Millisecond
	for _, waits := range [][][2]time.Duration{
		{{0, 20 * ms}, {30 * ms, 40 * ms}},
		{{0, 20 * ms}, {1 * ms, 20*ms + longWait/2}, {30 * ms, 40*ms - longWait/2}},
		{{0, 20 * ms}, {0, 20 * ms}, {1 * ms, 20 * ms}, {30 * ms, 40 * ms}},
		{{5 * ms, 20 * ms}, {15 * ms, 30 * ms}, {12 * ms, 35 * ms}},
	} {
		c := newTestCohort(t)
		for _, w := range waits {
			c.count(w[0], w[1])
		}
		if got, want := c.paid-waits[0][0], longWaitShare*30*ms; got != want {
			t.Errorf("waits %v: paid for after %v, not %v", waits, got, want)
		}
	}
}

// Waits that end at the same time are counted one after the other.
func TestCohortCountsConcurrently(t *testing.T) {
	c := newTestCohort(t)
	const workers, each = 8, 1000
	var all sync.WaitGroup
	var ends atomic.Int64
	for range workers {
		all.Go(func() {
			for range each {
				end := ends.Add(int64(2 * longWait))
				c.count(time.Duration(end)-2*longWait, time.Duration(end))
			}
		})
	}
	all.Wait()
	if got, most := c.paid, time.Duration(workers*each*2*longWaitShare)*longWait; got > most || got < most/workers {
		t.Errorf("paid for after %v, not %v", got, most)
	}
}

// A process that is halted does not go without a cohort for long afterwards.
func TestCohortAfterAPause(t *testing.T) {
	c := newTestCohort(t)
	c.took = 24 * time.Hour
	c.waits(true)
	c.took = 0
	c.at += longWaitShare * longWaitAdvance
	c.waits(true)
}

// What of a share was not used long ago is not kept.
func TestCohortKeepsNoShare(t *testing.T) {
	c := newTestCohort(t)
	c.took = longWaitAdvance / longWaitShare
	for _, c.at = range []time.Duration{0, time.Hour} {
		c.waits(true)
		c.waits(true)
		c.waits(false)
	}
}

// What is waited for are the others that are ready to run.
func TestCohortLetsOthersGoFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // or another processor might take them
	const times = 1000
	first := 0
	for range times {
		c := newCohort(new(atomic.Bool))
		var ran atomic.Bool
		go ran.Store(true)
		if c.wait(); ran.Load() {
			first++
		}
	}
	if first < times*9/10 {
		t.Errorf("%d of %d went first", first, times)
	}
}

// The cohort of a server has a clock that goes, and ends with the server, which closes
// connections whose requests it does not see while they wait.
func TestCohortOfAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping := new(atomic.Bool)
		c := newCohort(stopping)
		waits := 0
		c.yield = func() { waits++; time.Sleep(longWait + 1) }
		c.wait()
		if want := longWaitShare * (longWait + 1); c.paid != want {
			t.Errorf("paid for after %v, not %v", c.paid, want)
		}
		if c.wait(); waits != 2 {
			t.Errorf("it waited %d times, not twice", waits)
		}
		stopping.Store(true)
		if c.wait(); waits != 2 {
			t.Error("it waited although the server stops")
		}
	})
}

// steps notes what is done with a connection.
type steps struct {
	net.Conn
	taken []string
}

func (s *steps) take(name string, n int, err error) (int, error) {
	s.taken = append(s.taken, name)
	return n, err
}

func (s *steps) Read(p []byte) (int, error)       { return s.take("read", len(p), nil) }
func (s *steps) Write(p []byte) (int, error)      { return s.take("write", len(p), nil) }
func (s *steps) SetReadDeadline(time.Time) error  { return nil }
func (s *steps) SetWriteDeadline(time.Time) error { return nil }

// A request waits three times: when it is read, when its answer is begun, and before the next
// one is looked for.
func TestCohortOfRequests(t *testing.T) {
	s := new(steps)
	together := newTestCohort(t)
	together.yield = func() { _, _ = s.take("wait", 0, nil) }
	c := newLazyConn(s, together.cohort)
	buffer := make([]byte, 8)
	read, write := func() { _, _ = c.Read(buffer) }, func() { _, _ = c.Write(buffer) }
	for _, step := range []func(){read, write, write, read, read, write} {
		step()
	}
	_, _ = c.Read(nil) // finds nothing
	want := []string{
		"read", "wait", "wait", "write", "write",
		"wait", "read", "wait", "read", "wait", "wait", "write",
		"wait", "read",
	}
	if diff := cmp.Diff(want, s.taken); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
