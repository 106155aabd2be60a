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
		_ = g.failed(strconv.Itoa(i))
	}
	now = now.Add(guessInterval) // all of them are quiet again
	for range guessBurst {
		if err := g.failed("busy"); err != nil {
			t.Fatal(err)
		}
	}
	if g.failed("busy") == nil {
		t.Fatal("the busy one is not limited")
	}
	_ = g.failed("one more")
	if len(g.guessers) != 2 {
		t.Errorf("%d guessers are known, want the busy one and one more", len(g.guessers))
	}
	if g.failed("busy") == nil {
		t.Error("the busy one is forgotten")
	}
	for i := range 2 * maxGuessers {
		_ = g.failed(strconv.Itoa(i))
		if len(g.guessers) > maxGuessers {
			t.Fatalf("%d guessers are known", len(g.guessers))
		}
	}
}
