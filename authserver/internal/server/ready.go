package server

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// writeInterval is the least time between two writes that readiness checks make.
const writeInterval = 10 * time.Second

// checkedDatabase is what a readiness check asks of a store.
type checkedDatabase interface {
	Ping(ctx context.Context) error
	CheckWritable(ctx context.Context) error
}

// databaseCheck returns a check that the database can be read, and, at least every ten seconds,
// that it can be written: a server whose SQLite has a full disk is not ready. Checks at the same time share one
// look at the database. While a new primary waits for its first standby, no write ends, and each of
// them would hold a connection that logins need.
func databaseCheck() func(context.Context, checkedDatabase) error {
	var written atomic.Pointer[time.Time] // when the last write succeeded
	check := func(ctx context.Context, data checkedDatabase) error {
		if err := data.Ping(ctx); err != nil {
			return err
		}
		now := time.Now()
		if last := written.Load(); last != nil && now.Sub(*last) < writeInterval {
			return nil
		}
		err := data.CheckWritable(ctx)
		if err == nil {
			written.Store(&now)
		}
		return err
	}
	var looks singleflight.Group
	return func(ctx context.Context, data checkedDatabase) error {
		look := looks.DoChan("", func() (any, error) {
			return nil, check(context.WithoutCancel(ctx), data) // the store ends it
		})
		select {
		case got := <-look:
			return got.Err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
