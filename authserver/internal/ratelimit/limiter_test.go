package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

// The limiter's memory is bounded however many keys there are. It deletes keys that are over their
// limit last.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	const burst, interval = 20, time.Second
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	l := ratelimit.New(func() time.Time { return now }, burst, interval)
	for i := range ratelimit.MaxKeys - 1 {
		l.Allow(strconv.Itoa(i))
	}
	now = now.Add(interval) // these keys have no recent events now
	for range burst {
		if !l.Allow("busy") {
			t.Fatal("the busy key is limited too early")
		}
	}
	if l.Allow("busy") {
		t.Fatal("the busy key is not limited")
	}
	l.Allow("another")
	if l.Len() != 2 {
		t.Errorf("%d keys are left, want 2: the busy one and another", l.Len())
	}
	if l.Allow("busy") {
		t.Error("the busy key is no longer limited")
	}
	for i := range 2 * ratelimit.MaxKeys {
		l.Allow(strconv.Itoa(i))
		if l.Len() > ratelimit.MaxKeys {
			t.Fatalf("%d keys are stored, want at most %d", l.Len(), ratelimit.MaxKeys)
		}
	}
}
