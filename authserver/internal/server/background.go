package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// stopBackground is how long a server that stops waits for its background work. All of it ends when its context does,
// except for a step that must not be cut off, such as noting that a mail was sent.
const stopBackground = 3 * time.Second

// Background is the work of a server beside its requests. It is safe for concurrent use.
type Background struct {
	ctx  context.Context //nolint:containedctx // it is that of all the work
	stop context.CancelFunc
	log  *slog.Logger
	work sync.WaitGroup
}

// NewBackground returns a Background that runs nothing yet. Its work gets the values of ctx but does not end with it,
// because a server that drains still serves requests. Only Stop ends the work.
func NewBackground(ctx context.Context, log *slog.Logger) *Background {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &Background{ctx: ctx, stop: stop, log: log}
}

// run starts work, which must end when its context does. It must not be called after Stop.
func (b *Background) run(work func(context.Context)) {
	b.work.Go(func() { work(b.ctx) })
}

// Stop ends the work and waits for it, for at most stopBackground. Call it before the database is closed.
func (b *Background) Stop() {
	b.stop()
	ended := make(chan struct{})
	go func() {
		b.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(stopBackground):
		b.log.Warn("background work has not stopped in time", "waited", stopBackground)
	}
}

// every calls step at once, then once every period, until ctx ends.
func every(ctx context.Context, period time.Duration, step func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for ctx.Err() == nil {
		step(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}
