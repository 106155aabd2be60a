package web

import (
	"strconv"
	"testing"
	"time"
)

// The limiter's memory is bounded however many client ids are tried. It deletes keys that
// are over their limit last.
func TestFailureLimiterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	f := newFailureLimiter(func() time.Time { return now })
	for i := range maxFailureKeys - 1 {
		_ = f.record(strconv.Itoa(i))
	}
	now = now.Add(failureInterval) // these keys have no recent failures now
	for range failureBurst {
		if err := f.record("busy"); err != nil {
			t.Fatal(err)
		}
	}
	if f.record("busy") == nil {
		t.Fatal("the busy key is not limited")
	}
	_ = f.record("another")
	if len(f.limiters) != 2 {
		t.Errorf("%d keys are left, want 2: the busy one and another", len(f.limiters))
	}
	if f.record("busy") == nil {
		t.Error("the busy key is no longer limited")
	}
	for i := range 2 * maxFailureKeys {
		_ = f.record(strconv.Itoa(i))
		if len(f.limiters) > maxFailureKeys {
			t.Fatalf("%d keys are stored, want at most %d", len(f.limiters), maxFailureKeys)
		}
	}
}
