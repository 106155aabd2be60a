package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// OverloadedError is returned for a login when too many are waiting. It says nothing about the
// password.
type OverloadedError struct {
	// Wait is how long the login would probably have to wait.
	Wait time.Duration
}

// Error returns a text that gives the wait in whole seconds.
func (e *OverloadedError) Error() string {
	return fmt.Sprintf("too many logins are waiting: try again in %d seconds", e.Seconds())
}

// Seconds returns the wait in seconds, rounded up. It is at least 1.
func (e *OverloadedError) Seconds() int { return max(wholeSeconds(e.Wait), 1) }

// wholeSeconds returns d in seconds, rounded up.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Gate limits how much work runs at once and how much waits, and shares both fairly
// between the addresses that the work comes from. bcrypt runs behind it, so that a storm
// of logins takes only its share of the CPU and of memory, and so that one address cannot
// keep out the others. It is safe for concurrent use.
//
// An address that is alone may use every place. When several wait, a free place goes to the
// address with the least work running, and addresses that are equal in this take turns.
// When the queue is full, the newest work of the address with the longest queue gives way.
//
// Addresses whose last login failed come after all others, except for every fourth place,
// and their work gives way first. So guesses from many addresses do not keep out people who
// know their password.
//
// Work that would wait longer than Wait is refused at once, or when it has waited that long.
type Gate struct {
	// Wait is how long work may wait; zero means as long as its context.
	Wait time.Duration
	// Observe, unless nil, is called when work gets a place or stops waiting for one: with how long it
	// waited, and nil, an *OverloadedError or the error of its context.
	Observe func(waited time.Duration, err error)

	places, capacity int

	mu      sync.Mutex
	running int
	waiting int
	sources map[string]*source // by address; only those with work that runs or waits
	turns   uint64             // the last turn that was given out
	started uint64             // how much work has got a place
	failed  map[string]bool    // addresses whose last login failed
	usual   time.Duration      // that a login keeps its place; zero before the first one
}

// maxFailed bounds the addresses that are remembered because their last login failed.
const maxFailed = 10_000

// failedEvery is how often a place goes to the next address whether its last login failed or not.
const failedEvery = 4

// source is the work of one address.
type source struct {
	running int
	queue   []*ticket // oldest first
	turn    uint64    // the lowest goes first
}

// ticket is one piece of work that waits.
type ticket struct {
	admitted chan error // receives nil with a place, or an *OverloadedError
}

// NewGate returns a gate that lets at most places pieces of work run and at most queue
// more wait. Both are at least 1.
func NewGate(places, queue int) *Gate {
	return &Gate{
		places:   max(places, 1),
		capacity: max(queue, 1),
		sources:  map[string]*source{},
		failed:   map[string]bool{},
	}
}

// Do runs work in the caller's goroutine as soon as address gets a place, and returns its
// error. ErrIncorrect says that the login of work failed, and nil that it succeeded. Do returns
// an *OverloadedError when there is no room to wait or the wait is too long, or ctx.Err() when
// ctx ends first; work has not run then.
func (g *Gate) Do(ctx context.Context, address string, work func() error) error {
	joined := time.Now()
	err := g.enter(ctx, address)
	if g.Observe != nil {
		g.Observe(time.Since(joined), err)
	}
	if err != nil {
		return err
	}
	defer g.leave(address)
	begin := time.Now()
	err = work()
	g.remember(address, err, time.Since(begin))
	return err
}

// remember notes how long a login took, and whether the last login of address failed.
func (g *Gate) remember(address string, err error, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil || errors.Is(err, ErrIncorrect) { // a password was checked
		g.learn(took)
	}
	switch {
	case err == nil:
		delete(g.failed, address)
	case errors.Is(err, ErrIncorrect):
		if len(g.failed) >= maxFailed {
			for other := range g.failed {
				delete(g.failed, other)
				break
			}
		}
		g.failed[address] = true
	}
}

// enter returns nil once address holds a place.
func (g *Gate) enter(ctx context.Context, address string) error {
	t := g.join(address)
	var expired <-chan time.Time
	if g.Wait > 0 {
		expired = time.After(g.Wait)
	}
	var refusal error
	select {
	case err := <-t.admitted:
		return err
	case <-expired:
		refusal = &OverloadedError{Wait: g.Wait}
	case <-ctx.Done():
		refusal = ctx.Err()
	}
	if !g.withdraw(address, t) { // decided meanwhile
		if err := <-t.admitted; err != nil {
			return err
		}
		g.leave(address)
	}
	return refusal
}

// join queues work of address and returns its ticket.
func (g *Gate) join(address string) *ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[address]
	if s == nil {
		s = &source{}
		g.sources[address] = s
	}
	if len(s.queue) == 0 {
		s.turn = g.nextTurn()
	}
	t := &ticket{admitted: make(chan error, 1)}
	s.queue = append(s.queue, t)
	g.waiting++
	g.dispatch()
	if g.Wait > 0 && len(s.queue) > 0 && g.waitOfNewest(address) > g.Wait {
		g.refuseNewest(address)
	}
	if g.waiting > g.capacity {
		g.refuseNewest(g.longestQueue(address))
	}
	return t
}

// longestQueue returns the address with the longest queue, of those whose last login failed if
// any of them waits; the given one where no other is longer. The caller holds mu.
func (g *Gate) longestQueue(address string) string {
	longest := len(g.sources[address].queue)
	for a, s := range g.sources {
		switch worse := g.failed[a] && !g.failed[address]; {
		case len(s.queue) == 0, g.failed[address] && !g.failed[a]:
		case worse, len(s.queue) > longest:
			address, longest = a, len(s.queue)
		}
	}
	return address
}

// refuseNewest ends the wait of the newest work of address. The caller holds mu.
func (g *Gate) refuseNewest(address string) {
	queue := g.sources[address].queue
	newest := queue[len(queue)-1]
	wait := g.waitOfNewest(address)
	g.remove(address, newest)
	newest.admitted <- &OverloadedError{Wait: wait}
}

// withdraw takes a ticket out of the queue, and reports whether it was still there.
func (g *Gate) withdraw(address string, t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.remove(address, t)
}

// leave gives a place back, and the next work gets it.
func (g *Gate) leave(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.sources[address].running--
	g.forgetIdle(address)
	g.dispatch()
}

// remove takes a ticket out of the queue of address, and reports whether it was there. The
// caller holds mu.
func (g *Gate) remove(address string, t *ticket) bool {
	s := g.sources[address]
	if s == nil {
		return false
	}
	i := slices.Index(s.queue, t)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	g.waiting--
	g.forgetIdle(address)
	return true
}

// forgetIdle drops an address that has no work. The caller holds mu.
func (g *Gate) forgetIdle(address string) {
	if s := g.sources[address]; s.running == 0 && len(s.queue) == 0 {
		delete(g.sources, address)
	}
}

// dispatch gives free places to waiting work. The caller holds mu.
func (g *Gate) dispatch() {
	for g.running < g.places && g.waiting > 0 {
		g.started++
		s := g.next()
		t := s.queue[0]
		s.queue = slices.Delete(s.queue, 0, 1)
		s.turn = g.nextTurn()
		s.running++
		g.running++
		g.waiting--
		t.admitted <- nil
	}
}

// next returns the source that gets the next place. The caller holds mu; some work waits.
func (g *Gate) next() *source {
	var next *source
	nextFailed := false
	for a, s := range g.sources {
		failed := g.failed[a] && g.started%failedEvery != 0
		switch {
		case len(s.queue) == 0, next != nil && failed && !nextFailed:
		case next == nil, nextFailed && !failed,
			s.running < next.running, s.running == next.running && s.turn < next.turn:
			next, nextFailed = s, failed
		}
	}
	return next
}

func (g *Gate) nextTurn() uint64 {
	g.turns++
	return g.turns
}

// Running returns how much work runs now.
func (g *Gate) Running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// Waiting returns how much work waits now.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}
