package httpserver

import (
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	for _, took = range []time.Duration{longWait + 1, 10 * time.Millisecond, time.Second} {
		wait(true)
		rested := now + 20*took
		wait(false)
		now = rested - 1
		wait(false)
		now = rested
	}
	took = 0
	wait(true)
	wait(true)
}

// After two long waits that overlapped, the longer rest counts, whichever wait ended first.
func TestCohortRests(t *testing.T) {
	for _, ends := range [][]time.Duration{{time.Second, 2 * time.Second}, {2 * time.Second, time.Second}} {
		c := &cohort{}
		for _, end := range ends {
			c.rest(end)
		}
		if got := time.Duration(c.next.Load()); got != 2*time.Second {
			t.Errorf("after rests until %v the next wait is at %v", ends, got)
		}
	}
}

// steps notes what is done with a connection.
type steps struct {
	net.Conn
	taken []string
}

func (s *steps) take(name string, n int, err error) (int, error) {
	s.taken = append(s.taken, name)
	return n, err
}

func (s *steps) Read(p []byte) (int, error)       { return s.take("read", len(p), nil) }
func (s *steps) Write(p []byte) (int, error)      { return s.take("write", len(p), nil) }
func (s *steps) SetReadDeadline(time.Time) error  { return nil }
func (s *steps) SetWriteDeadline(time.Time) error { return nil }

// A request waits three times: when it is read, when its answer is begun, and before the next
// one is looked for.
func TestCohortOfRequests(t *testing.T) {
	s := new(steps)
	c := newLazyConn(s, &cohort{
		now:   func() time.Duration { return 0 },
		yield: func() { _, _ = s.take("wait", 0, nil) },
	})
	buffer := make([]byte, 8)
	read, write := func() { _, _ = c.Read(buffer) }, func() { _, _ = c.Write(buffer) }
	for _, step := range []func(){read, write, write, read, read, write} {
		step()
	}
	_, _ = c.Read(nil) // finds nothing
	want := []string{
		"read", "wait", "wait", "write", "write",
		"wait", "read", "wait", "read", "wait", "wait", "write",
		"wait", "read",
	}
	if diff := cmp.Diff(want, s.taken); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
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
