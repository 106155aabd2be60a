package account

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrOverloaded says that too many logins wait already. It is no verdict on the
// login that got it: the client may try again a little later.
var ErrOverloaded = errors.New("too many logins are waiting")

// Gate lets few pieces of work run at once and few more wait. bcrypt runs behind
// one, so that a storm of logins takes no more than its share of the CPU and of
// memory, and so that whoever cannot be served soon is told at once. It is safe for
// concurrent use.
type Gate struct {
	places  chan struct{}
	waiting atomic.Int64
	queue   int64
}

// NewGate returns a gate through which so many pieces of work run at once, with so
// many more waiting. Both are at least 1.
func NewGate(places, queue int) *Gate {
	return &Gate{places: make(chan struct{}, max(places, 1)), queue: int64(max(queue, 1))}
}

// Do runs work when a place is free, in the caller's goroutine. It is
// ErrOverloaded when the queue is full, and the context's error when that ends
// before a place is free; work has not run then.
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

// Running returns how many pieces of work run right now.
func (g *Gate) Running() int { return len(g.places) }

// Waiting returns how many wait right now.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }
