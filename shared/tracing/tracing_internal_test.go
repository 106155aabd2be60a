package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// kept keeps spans when its tracer is closed.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }

// recorded returns a tracer, and a function that closes it and returns its spans.
func recorded(t *testing.T) (*Tracer, func() tracetest.SpanStubs) {
	t.Helper()
	exporter := kept{tracetest.NewInMemoryExporter()}
	tracer := newTracer(exporter, resource.Empty(), []string{"/polls"})
	return tracer, func() tracetest.SpanStubs {
		t.Helper()
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return exporter.GetSpans()
	}
}

const traceID = "0af7651916cd43dd8448eb211c80319c"

// A request goes on with the trace that it names, if that is well-formed, and its caller decides whether it is
// recorded. One that names none begins a trace, unless it is a poll.
func TestHandler(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path, parent string
		spans                int
		ofParent             bool
	}{
		"no parent":           {"GET", "/a", "", 1, false},
		"a parent":            {"GET", "/a", "00-" + traceID + "-b7ad6b7169203331-01", 1, true},
		"a parent, not kept":  {"GET", "/a", "00-" + traceID + "-b7ad6b7169203331-00", 0, false},
		"a parent of zeros":   {"GET", "/a", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", 1, false},
		"not a parent":        {"GET", "/a", "hello", 1, false},
		"a long parent":       {"GET", "/a", strings.Repeat("00-", 3000), 1, false},
		"a poll":              {"GET", "/polls/1", "", 0, false},
		"a poll of a trace":   {"GET", "/polls/1", "00-" + traceID + "-b7ad6b7169203331-01", 1, true},
		"an invented method":  {"SECRET", "/a", "", 1, false},
		"a path with a query": {"POST", "/a?secret=hunter2", "", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := recorded(t)
			handler := tracer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if baggage.FromContext(r.Context()).Len() > 0 {
					t.Error("the context has baggage")
				}
				if id, _, kept := tracer.Span(r.Context()); id != "" {
					tracer.SetRoute(r.Context(), r.Method, "/{route}")
					if kept != (tt.spans == 1) {
						t.Errorf("recorded: %v", kept)
					}
				}
			}))
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader("password=hunter2"))
			r.Header.Set("Authorization", "Bearer hunter2")
			r.Header.Set("Baggage", "user=hunter2")
			r.Header.Set("X-Forwarded-For", "203.0.113.99")
			r.RemoteAddr = "192.0.2.7"
			if tt.parent != "" {
				r.Header.Set("Traceparent", tt.parent)
			}
			handler.ServeHTTP(httptest.NewRecorder(), r)
			got := spans()
			if len(got) != tt.spans {
				t.Fatalf("%d spans, want %d", len(got), tt.spans)
			}
			if len(got) == 0 {
				return
			}
			if want := methodOf(tt.method) + " /{route}"; got[0].Name != want {
				t.Errorf("the span is %q, want %q", got[0].Name, want)
			}
			if ofParent := got[0].SpanContext.TraceID().String() == traceID; ofParent != tt.ofParent {
				t.Errorf("in the trace of the request: %v, want %v", ofParent, tt.ofParent)
			}
			text := fmt.Sprintf("%+v", got[0].Attributes)
			if strings.Contains(text, "hunter2") || strings.Contains(text, "203.0.113.99") ||
				!strings.Contains(text, "192.0.2.7") {
				t.Errorf("attributes: %s", text)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The span of an outgoing request has the host and the status, and the request is sent as it was.
func TestTransport(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		err    error
	}{"success": {200, nil}, "failure": {500, nil}, "no response": {0, errors.New("dial hunter2: refused")}} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := recorded(t)
			transport := tracer.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				for _, header := range (propagation.TraceContext{}).Fields() {
					if r.Header.Get(header) != "" {
						t.Errorf("the request has the header %s", header)
					}
				}
				return &http.Response{StatusCode: tt.status, Body: io.NopCloser(strings.NewReader(""))}, tt.err
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example/hunter2?key=hunter2", nil)
			resp, err := transport.RoundTrip(r)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if resp != nil {
				resp.Body.Close()
			}
			text := fmt.Sprintf("%+v", spans())
			if strings.Contains(text, "hunter2") || !strings.Contains(text, "app.example") ||
				tt.status > 0 && !strings.Contains(text, fmt.Sprint(tt.status)) {
				t.Errorf("the span has a secret, or lacks the host or status: %s", text)
			}
		})
	}
	if got := (*Tracer)(nil).Transport(http.DefaultTransport); got != http.DefaultTransport {
		t.Error("without a tracer, the transport is another one")
	}
}

type failing struct {
	sdktrace.SpanExporter
	err error
}

func (f *failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return f.err }

// A collector that cannot be reached is logged once, until it can be reached again.
func TestExportFailures(t *testing.T) {
	var log strings.Builder
	inner := &failing{err: errors.New("refused")}
	e := &loggedExporter{SpanExporter: inner, log: slog.New(slog.NewTextHandler(&log, nil)), endpoint: "http://c"}
	for _, err := range []error{inner.err, inner.err, nil, nil, inner.err} {
		inner.err = err
		if err := e.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if sent := strings.Count(log.String(), "cannot be sent"); sent != 2 {
		t.Errorf("%d warnings, want 2:\n%s", sent, &log)
	}
	if again := strings.Count(log.String(), "sent again"); again != 1 {
		t.Errorf("%d lines that traces are sent again, want 1", again)
	}
}

func TestSummary(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT id FROM users WHERE id = $1":                           "SELECT users",
		"INSERT INTO grants (a) SELECT b FROM clients":                 "INSERT grants",
		"UPDATE grants SET revoked_at = $1":                            "UPDATE grants",
		"DELETE FROM codes WHERE digest IN (SELECT digest FROM codes)": "DELETE codes",
		"BEGIN":     "BEGIN",
		" select 1": "SELECT",
		"":          "",
	} {
		if got := summary(query); got != want {
			t.Errorf("summary(%q) = %q, want %q", query, got, want)
		}
	}
}

// A poll is recorded if it brings news or fails, and not if nothing has changed or the program stops.
func TestPollTransport(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for name, tt := range map[string]struct {
		ctx    context.Context
		status int
		err    error
		spans  int
	}{
		"news":        {t.Context(), 200, nil, 1},
		"no news":     {t.Context(), 304, nil, 0},
		"failure":     {t.Context(), 503, nil, 1},
		"no response": {t.Context(), 0, errors.New("dial hunter2: refused"), 1},
		"timeout":     {late, 0, context.DeadlineExceeded, 1},
		"stopped":     {ended, 0, context.Canceled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, spans := recorded(t)
			transport := tracer.PollTransport(roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tt.status, Body: io.NopCloser(strings.NewReader(""))}, tt.err
			}))
			r := httptest.NewRequestWithContext(tt.ctx, http.MethodGet, "https://login.example/hunter2?key=hunter2", nil)
			resp, err := transport.RoundTrip(r)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if resp != nil {
				resp.Body.Close()
			}
			got := spans()
			text := fmt.Sprintf("%+v", got)
			if len(got) != tt.spans || strings.Contains(text, "hunter2") ||
				tt.spans > 0 && !strings.Contains(text, "login.example") {
				t.Errorf("want %d spans with the host: %s", tt.spans, text)
			}
		})
	}
	if got := (*Tracer)(nil).PollTransport(http.DefaultTransport); got != http.DefaultTransport {
		t.Error("without a tracer, the transport is another one")
	}
}
