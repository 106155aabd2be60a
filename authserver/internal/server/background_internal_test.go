package server

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Background work goes on while a server drains, and Stop waits for its last step.
func TestBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		serving, drain := context.WithCancel(t.Context())
		b := NewBackground(serving, slog.New(slog.DiscardHandler))
		steps, noted := 0, false
		b.run(func(ctx context.Context) {
			every(ctx, time.Minute, func(context.Context) { steps++ })
			time.Sleep(stopBackground / 2)
			noted = true
		})
		synctest.Wait()
		drain()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if steps != 2 {
			t.Errorf("%d steps in a minute, want 2", steps)
		}
		b.Stop()
		if !noted {
			t.Error("Stop did not wait for the last step")
		}
	})
}

// Work that does not end cannot keep a server from stopping.
func TestBackgroundThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBackground(t.Context(), slog.New(slog.DiscardHandler))
		release := make(chan struct{})
		b.run(func(context.Context) { <-release })
		began := time.Now()
		b.Stop()
		if waited := time.Since(began); waited != stopBackground {
			t.Errorf("Stop waited for %v, want %v", waited, stopBackground)
		}
		close(release)
	})
}
