package httpserver

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RFC 9110 §6.6.1: the field is the time of the answer in seconds, in UTC, whatever the
// time of the one before.
func TestDates(t *testing.T) {
	var d dates
	at := time.Date(2026, time.March, 1, 23, 59, 59, 999, time.FixedZone("", 3600))
	for _, move := range []time.Duration{0, 1, time.Second, 0, -time.Hour, 24 * time.Hour} {
		at = at.Add(move)
		got, err := http.ParseTime(d.at(at)[0])
		if err != nil || !got.Equal(at.Truncate(time.Second)) {
			t.Errorf("at %v: %v, %v", at, got, err)
		}
	}
}

// The observer sets the field, so that http.Server does not have to make it.
func TestObserverSetsTheDate(t *testing.T) {
	o := newObserver(http.NotFoundHandler(), slog.New(slog.DiscardHandler), prometheus.NewRegistry(), new(atomic.Bool))
	before := time.Now().Truncate(time.Second)
	answer := httptest.NewRecorder() // sets none itself
	o.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if at, err := http.ParseTime(answer.Header().Get("Date")); err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("Date: %q", answer.Header().Get("Date"))
	}
}
