package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stuckDatabase is a database whose writes end when released is closed, with err.
type stuckDatabase struct {
	released chan struct{}
	err      error
	writes   atomic.Int64
}

func (*stuckDatabase) Ping(context.Context) error { return nil }

func (d *stuckDatabase) CheckWritable(ctx context.Context) error {
	d.writes.Add(1)
	select {
	case <-d.released:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// While a write of a readiness check does not end, other checks write nothing more. All of them get its result, or end
// with their own time.
func TestReadinessChecksShareOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("the disk is full")
		data := &stuckDatabase{released: make(chan struct{}), err: failure}
		check := databaseCheck()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var checks sync.WaitGroup
		checks.Go(func() {
			if err := check(impatient, data); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a check that ends with its time: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			checks.Go(func() {
				if err := check(t.Context(), data); !errors.Is(err, failure) {
					t.Errorf("a check got %v, want the failure of the write", err)
				}
			})
		}
		time.Sleep(2 * time.Second) // in the bubble: the first check has ended
		synctest.Wait()
		close(data.released)
		checks.Wait()
		if n := data.writes.Load(); n != 1 {
			t.Errorf("%d writes, want one", n)
		}
		// A failure is not remembered, a success is.
		data.err = nil
		for range 3 {
			if err := check(t.Context(), data); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(writeInterval)
		if err := check(t.Context(), data); err != nil {
			t.Error(err)
		}
		if n := data.writes.Load(); n != 3 {
			t.Errorf("%d writes, want three: one failed, one is remembered for ten seconds", n)
		}
	})
}
