package httpserver

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// cohort has requests that are under way at the same time take their steps together: all are
// read, then all are answered, then all answers are written. What ran a moment ago is still in
// the processor's caches, while a request that takes all its steps at once finds them full of
// other things at each: that took a twentieth of a small request under full load, and a sixth
// where requests come in bursts. And a connection that is looked at right after its answer has
// nothing to read yet, which is a system call in vain. Larus and Parkes described it (cohort
// scheduling, USENIX 2002).
//
// Where others compute for long, such as the hash of a password, waiting for them would be a
// bad bargain, so the time in which anybody waits for long is bounded: to about a twentieth of
// all time, of which a second's share and one more wait may come at once. Some of it there
// always is: while garbage is collected, or the machine has other things to do.
//
// Nobody waits any more when the server stops: it closes connections that it takes for idle,
// such as one that waits with a request that it has read.
type cohort struct {
	now      func() time.Duration // since whenever
	yield    func()               // lets the others go first
	stopping *atomic.Bool

	next atomic.Int64 // no wait before, as of now

	mu      sync.Mutex
	counted time.Duration // long waits until then are in paid
	paid    time.Duration // when the long waits so far are a twentieth of the time
}

// longWait is what others take who compute: two dozen small requests take less. Waits that
// are shorter are not bounded, and a request takes three of them.
const longWait = time.Millisecond

// What long waits may take: one part in so many of the time, and ahead of it that part of
// this much.
const (
	longWaitShare   = 20
	longWaitAdvance = time.Second
)

func newCohort(stopping *atomic.Bool) *cohort {
	start := time.Now()
	return &cohort{
		now: func() time.Duration { return time.Since(start) }, yield: runtime.Gosched, stopping: stopping,
	}
}

// wait lets the others go first, unless that has taken too long of late.
func (c *cohort) wait() {
	began := c.now()
	if began < time.Duration(c.next.Load()) || c.stopping.Load() {
		return
	}
	c.yield()
	if ended := c.now(); ended-began > longWait {
		c.count(began, ended)
	}
}

// count counts a long wait, but no time twice in which several waited.
func (c *cohort) count(began, ended time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if took := ended - max(began, c.counted); took > 0 {
		c.counted = ended
		took = min(took, longWaitAdvance) // longer ones are pauses of the whole process
		c.paid = max(c.paid, began) + longWaitShare*took
		c.next.Store(int64(c.paid - longWaitAdvance))
	}
}
