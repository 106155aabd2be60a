package statuslist

import (
	"maps"
	"math/bits"
	"sync"
	"time"
)

// delayBounds are the bounds by which Delays counts. The issue time of a list is in whole seconds.
var delayBounds = []time.Duration{
	time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute,
}

// Delays says how long revocations took from the authorization server to a Client: from the second in which the
// list that has them was issued until the Client had it.
type Delays struct {
	// Count is the number of revocations, without those of a list's first fetch.
	Count uint64
	// Sum is the sum of their delays.
	Sum time.Duration
	// Within is how many took no longer than each of some bounds.
	Within map[time.Duration]uint64
}

// delays records Delays. It is safe for concurrent use.
type delays struct {
	mu sync.Mutex
	Delays
}

// add records n revocations with the same delay.
func (d *delays) add(n int, delay time.Duration) {
	if n == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Count += uint64(n) //nolint:gosec // it is a number of bits
	d.Sum += time.Duration(n) * delay
	for _, bound := range delayBounds {
		if delay <= bound {
			d.Within[bound] += uint64(n) //nolint:gosec // it is a number of bits
		}
	}
}

// current returns a copy.
func (d *delays) current() Delays {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Delays
	now.Within = maps.Clone(d.Within)
	return now
}

// Delays says how many revocations have arrived since Open, and how late.
func (c *Client) Delays() Delays { return c.delays.current() }

// newDelays returns delays with all bounds.
func newDelays() *delays {
	d := &delays{Delays: Delays{Within: map[time.Duration]uint64{}}}
	for _, bound := range delayBounds {
		d.Within[bound] = 0
	}
	return d
}

// countMissing returns how many bits that are set in l are set in none of the others.
func (l *List) countMissing(others []*List) int {
	n := 0
	for i, missing := range l.bits {
		for _, o := range others {
			if i < len(o.bits) {
				missing &^= o.bits[i]
			}
		}
		n += bits.OnesCount8(missing)
	}
	return n
}

// lookForRevocations counts the revocations of a published list that the previous copy lacks.
func (c *Client) lookForRevocations(before *cachedList, next Token, now time.Time) {
	if before == nil {
		return
	}
	var known []*List
	for _, p := range before.lists {
		known = append(known, p.List)
	}
	c.delays.add(next.List.countMissing(known), max(now.Sub(next.IssuedAt), 0))
}
