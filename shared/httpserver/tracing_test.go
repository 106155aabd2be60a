package httpserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// fakeTracing gives every request the same ids.
type fakeTracing struct {
	recorded bool
	hangs    bool // Close waits until its context ends
	route    atomic.Pointer[string]
	closed   atomic.Bool
}

type spanKey struct{}

func (f *fakeTracing) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), spanKey{}, true)))
	})
}

func (f *fakeTracing) Span(ctx context.Context) (traceID, spanID string, recorded bool) {
	if ctx.Value(spanKey{}) == nil {
		return "", "", false
	}
	return "the-trace", "the-span", f.recorded
}

func (f *fakeTracing) SetRoute(_ context.Context, method, route string) {
	named := method + " " + route
	f.route.Store(&named)
}

func (f *fakeTracing) Close(ctx context.Context) error {
	f.closed.Store(true)
	if f.hangs {
		<-ctx.Done()
	}
	return ctx.Err()
}

// Log lines of a request have the ids of its trace. If it is recorded, it is an exemplar, in OpenMetrics only.
func TestTracing(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		tracing := &fakeTracing{recorded: recorded}
		r := start(t, httpserver.Server{Tracing: tracing, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { httpserver.SetRoute(w, "/things/{id}") })})
		r.get(r.public + "/things/7")
		r.until("the request is logged", func() bool { return len(r.log.with(t, "request")) == 1 })
		line := r.log.with(t, "request")[0]
		if line["trace_id"] != "the-trace" || line["span_id"] != "the-span" || line["request_id"] == "" {
			t.Errorf("the line has not the ids: %v", line)
		}
		if named := tracing.route.Load(); named == nil || *named != "GET /things/{id}" {
			t.Errorf("the span is not named after its route: %v", named)
		}
		const exemplar = `# {trace_id="the-trace"}`
		open := r.do(http.MethodGet, r.admin+"/metrics", http.Header{"Accept": {"application/openmetrics-text"}})
		if strings.Contains(open.body, exemplar) != recorded {
			t.Errorf("recorded %v; an exemplar is there: %v", recorded, !recorded)
		}
		if plain := r.get(r.admin + "/metrics"); strings.Contains(plain.body, exemplar) {
			t.Error("the text format of Prometheus has an exemplar, which it cannot")
		}
		if err := r.stop(httpserver.ErrStopNow); err != nil || !tracing.closed.Load() {
			t.Errorf("stop: %v, closed: %v", err, tracing.closed.Load())
		}
	}
}

// Without a trace, lines have no ids of one.
func TestNoTracing(t *testing.T) {
	r := start(t, httpserver.Server{Handler: hello})
	r.get(r.public)
	r.until("the request is logged", func() bool { return len(r.log.with(t, "request")) == 1 })
	if line := r.log.with(t, "request")[0]; line["trace_id"] != nil || line["span_id"] != nil {
		t.Errorf("the line has ids of a trace: %v", line)
	}
}

// A collector that does not respond keeps a server from stopping for no longer than the stop timeout, and is no error.
func TestStopWithoutACollector(t *testing.T) {
	tracing := &fakeTracing{hangs: true}
	r := start(t, httpserver.Server{
		Tracing: tracing, Handler: hello, Settings: httpserver.Settings{StopTimeout: 50 * time.Millisecond},
	})
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Errorf("stop: %v", err)
	}
	if len(r.log.with(t, "the last traces could not be sent")) != 1 {
		t.Errorf("no warning: %s", r.log)
	}
}
