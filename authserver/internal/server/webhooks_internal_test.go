package server

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Dropped deliveries are logged once for each tick, and not at all if there are none.
func TestDroppedDeliveriesAreLogged(t *testing.T) {
	var text bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	counts := []int64{0, 3, 3, 5}
	count := func() int64 {
		n := counts[0]
		counts = counts[1:]
		return n
	}
	go func() {
		defer close(done)
		logDropped(ctx, count, ticks, slog.New(slog.NewTextHandler(&text, nil)))
	}()
	for range 4 {
		ticks <- time.Time{}
	}
	cancel()
	<-done
	if got := text.String(); strings.Count(got, "event=webhook_dropped") != 2 || !strings.Contains(got, "count=3") ||
		!strings.Contains(got, "count=2") {
		t.Errorf("logged %s", got)
	}
}
