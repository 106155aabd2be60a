package httpserver

import (
	"runtime"
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
// bad bargain. So a wait that was long is followed by twenty times as long without any: waits
// like that take a twentieth of the time at the most.
type cohort struct {
	now   func() time.Duration // since whenever
	yield func()               // lets the others go first

	next atomic.Int64 // no wait before, as of now
}

// longWait is what others take who compute: two dozen small requests take less. It bounds
// what those requests lose who wait for slower ones: up to three times as much.
const longWait = time.Millisecond

func newCohort() *cohort {
	start := time.Now()
	return &cohort{now: func() time.Duration { return time.Since(start) }, yield: runtime.Gosched}
}

// wait lets the others go first, unless that has taken long of late.
func (c *cohort) wait() {
	began := c.now()
	if began < time.Duration(c.next.Load()) {
		return
	}
	c.yield()
	ended := c.now()
	if took := ended - began; took > longWait {
		c.rest(ended + 20*took)
	}
}

// rest has nobody wait before then, nor before the end of a longer rest.
func (c *cohort) rest(until time.Duration) {
	for {
		next := c.next.Load()
		if int64(until) <= next || c.next.CompareAndSwap(next, int64(until)) {
			return
		}
	}
}
