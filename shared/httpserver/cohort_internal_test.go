package httpserver

import (
	"testing"
	"time"
)

// Others are waited for as long as that is short. Long waits take a twentieth of the time at
// the most.
func TestCohortWaits(t *testing.T) {
	var now, took time.Duration
	waits := 0
	c := &cohort{now: func() time.Duration { return now }, yield: func() { waits++; now += took }}
	wait := func(wanted bool) {
		t.Helper()
		before := waits
		if c.wait(); (waits > before) != wanted {
			t.Errorf("at %v: it waited %d times, wanted: %t", now, waits-before, wanted)
		}
	}
	for _, took = range []time.Duration{0, longWait, longWait / 2, longWait, 0} {
		wait(true)
	}
	took = 10 * time.Millisecond
	wait(true)
	end := now
	for range 20 {
		wait(false)
		now += 10*time.Millisecond - 1
	}
	now = end + 200*time.Millisecond
	wait(true) // as long again
	wait(false)
	now += 200 * time.Millisecond
	took = 0
	wait(true)
	wait(true)
}

// What is waited for are the others that are ready to run.
func TestCohortLetsOthersGoFirst(t *testing.T) {
	c := newCohort()
	for deadline := time.Now().Add(10 * time.Second); ; {
		ran := make(chan struct{})
		go close(ran)
		c.wait()
		select {
		case <-ran:
			return
		default: // another processor's work, or a wait that was long
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody went first")
		}
	}
}
