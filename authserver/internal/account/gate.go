package account

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrOverloaded is returned when too many logins are waiting already. It says nothing
// about the password: the client may try again shortly.
var ErrOverloaded = errors.New("too many logins are waiting")

// Gate limits how many jobs run at once and how many wait for their turn. bcrypt runs
// behind one, so that a flood of logins cannot use up the CPU or memory, and a login that
// cannot be served soon fails at once. It is safe for concurrent use.
type Gate struct {
	places  chan struct{}
	waiting atomic.Int64
	queue   int64
}

// NewGate returns a Gate that runs up to places jobs at once and lets up to queue more
// wait. Values below 1 count as 1.
func NewGate(places, queue int) *Gate {
	return &Gate{places: make(chan struct{}, max(places, 1)), queue: int64(max(queue, 1))}
}

// Do runs work in the caller's goroutine once a place is free. If the queue is full it
// returns ErrOverloaded; if ctx ends first it returns ctx.Err(). In both cases work does
// not run.
func (g *Gate) Do(ctx context.Context, work func()) error {
	select {
	case g.places <- struct{}{}:
	default:
		if err := g.wait(ctx); err != nil {
			return err
		}
	}
	defer func() { <-g.places }()
	work()
	return nil
}

// wait takes a place once one is free.
func (g *Gate) wait(ctx context.Context) error {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return ErrOverloaded
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Running returns the number of jobs that are running.
func (g *Gate) Running() int { return len(g.places) }

// Waiting returns the number of jobs that are waiting.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }
