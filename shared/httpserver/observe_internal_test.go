package httpserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// blockedLog is a log that cannot be written until it is closed.
type blockedLog chan struct{}

func (b blockedLog) Write(p []byte) (int, error) {
	<-b
	return len(p), nil
}

// Metrics are served while the log cannot be written, and count the request whose line
// waits.
func TestMetricsWhileTheLogBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, reg := make(blockedLog), prometheus.NewRegistry()
		defer close(log)
		o := newObserver(http.NotFoundHandler(), NewLogger(log, Settings{}), reg, new(atomic.Bool), nil)
		go o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		synctest.Wait()
		rec := httptest.NewRecorder()
		adminHandler(new(health), reg, Settings{}, nil).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", http.NoBody))
		for _, sample := range []string{
			`http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1`,
			`http_requests_in_flight 1`,
		} {
			if !strings.Contains(rec.Body.String(), "\n"+sample+"\n") {
				t.Errorf("the metrics lack %s:\n%s", sample, rec.Body)
			}
		}
	})
}

// The duration of a request is counted in seconds and logged from its arrival to the
// return of its handler.
func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		reg := prometheus.NewRegistry()
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(1500 * time.Millisecond) })
		o := newObserver(handler, NewLogger(&log, Settings{}), reg, new(atomic.Bool), nil)
		o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		rec := httptest.NewRecorder()
		adminHandler(new(health), reg, Settings{}, nil).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", http.NoBody))
		sum := `http_request_duration_seconds_sum{method="GET",route="unmatched",status="200"} 1.5`
		if !strings.Contains(rec.Body.String(), "\n"+sum+"\n") {
			t.Errorf("the metrics lack %s:\n%s", sum, rec.Body)
		}
		if !strings.Contains(log.String(), " took=1.5s ") {
			t.Errorf("logged: %s", log.String())
		}
	})
}
