package web

import (
	"strconv"
	"testing"
	"time"
)

// However many ids are made up, the limiter's memory is bounded, and whoever is
// limited right now is the last to be forgotten.
func TestGuessLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	g := newGuessLimiter(func() time.Time { return now })
	for i := range maxGuessers - 1 {
		g.failed(strconv.Itoa(i))
	}
	now = now.Add(guessInterval) // all of them are quiet again
	for range guessBurst {
		g.failed("busy")
	}
	if g.check("busy") == nil {
		t.Fatal("the busy one is not limited")
	}
	g.failed("one more")
	if len(g.guessers) != 2 || g.check("busy") == nil {
		t.Errorf("%d guessers are known, and the busy one is limited: %v", len(g.guessers), g.check("busy"))
	}
	for i := range 2 * maxGuessers {
		g.failed(strconv.Itoa(i))
		if len(g.guessers) > maxGuessers {
			t.Fatalf("%d guessers are known", len(g.guessers))
		}
	}
}
