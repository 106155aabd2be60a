// Package tracing sends traces of requests to a collector, by OTLP over HTTP. A request with a traceparent header (W3C
// Trace Context) continues that trace, and the caller decides whether it is recorded.
//
// A span shows the route, the method, the status and the statements of a request. Of the headers it has
// User-Agent and Host only, and it has no query string, form, statement value or username.
//
// The package is a separate module, because of its dependencies.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config configures a Tracer.
type Config struct {
	// Service and Version are the name and the version of the program, unless OTEL_SERVICE_NAME or
	// OTEL_RESOURCE_ATTRIBUTES have others.
	Service, Version string
	// Polls are prefixes of paths that programs poll. Such a request starts no trace, but continues one that it
	// names.
	Polls []string
	// Log gets a line when traces cannot be sent, and when they can again.
	Log *slog.Logger
}

// Tracer traces requests. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	polls    []string
}

// scope is the instrumentation scope of the spans.
const scope = "github.com/hallpass-auth/hallpass/shared/tracing"

// contexts reads and writes the header traceparent. Baggage, which may contain anything, is not passed on.
var contexts = propagation.TraceContext{}

// Open returns a tracer that sends to the collector in the settings, or nil if they have none. It sends nothing yet: a
// collector that cannot be reached is logged later, and does not slow down requests. The error names a wrong setting.
func Open(ctx context.Context, s Settings, cfg Config) (*Tracer, error) {
	endpoint, err := s.endpoint()
	if err != nil || endpoint == "" {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		cfg.Log.Warn("a variable of OpenTelemetry is wrong, or a trace was lost", "error", err)
	}))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("cannot send traces: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(
			attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version)),
		resource.WithFromEnv(), // last, so that it takes precedence
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	cfg.Log.InfoContext(ctx, "traces are sent", "to", endpoint)
	return newTracer(&loggedExporter{SpanExporter: exporter, log: cfg.Log, endpoint: endpoint}, described, cfg.Polls), nil
}

func newTracer(exporter sdktrace.SpanExporter, described *resource.Resource, polls []string) *Tracer {
	limits := sdktrace.NewSpanLimits()
	limits.EventCountLimit = 0 // events are driver errors, whose texts may quote values
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(described),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(exporter), // drops spans when its queue is full
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), polls: polls}
}

// loggedExporter logs the first export that fails, and the next one that succeeds again.
type loggedExporter struct {
	sdktrace.SpanExporter
	log      *slog.Logger
	endpoint string
	failing  atomic.Bool
}

// ExportSpans never returns an error: it has logged it.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !e.failing.Swap(true):
		e.log.WarnContext(ctx, "traces cannot be sent: they are dropped until they can", "to", e.endpoint, "error", err)
	case !failed && e.failing.Swap(false):
		e.log.InfoContext(ctx, "traces are sent again", "to", e.endpoint)
	}
	return nil //nolint:nilerr // it has been logged
}

// Handler returns a handler that calls next with a span in the context of each request.
func (t *Tracer) Handler(next http.Handler) http.Handler {
	traced := otelhttp.NewHandler(withClientAddress(next), "request",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()), // package httpserver has its own metrics
		otelhttp.WithPropagators(contexts),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return methodOf(r.Method) }),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") == "" && t.isPoll(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		traced.ServeHTTP(w, r)
	})
}

// withClientAddress sets the address of the client from RemoteAddr, for which package httpserver trusts only known
// proxies. otelhttp would trust any X-Forwarded-For.
func withClientAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := r.RemoteAddr
		if host, _, err := net.SplitHostPort(address); err == nil {
			address = host
		}
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("client.address", address))
		next.ServeHTTP(w, r)
	})
}

// isPoll reports whether the path is one that programs poll.
func (t *Tracer) isPoll(path string) bool {
	for _, poll := range t.polls {
		if strings.HasPrefix(path, poll) {
			return true
		}
	}
	return false
}

// methodOf returns the method for the name of a span. It replaces unknown ones, since clients may invent methods.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return "HTTP"
}

// Span returns the hexadecimal ids of the trace and the span in a context, and whether they are recorded. Without a
// span, the ids are empty.
func (t *Tracer) Span(ctx context.Context) (traceID, spanID string, recorded bool) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return "", "", false
	}
	return span.TraceID().String(), span.SpanID().String(), span.IsSampled()
}

// SetRoute names the span of a request after its method and route.
func (t *Tracer) SetRoute(ctx context.Context, method, route string) {
	span := trace.SpanFromContext(ctx)
	span.SetName(methodOf(method) + " " + route)
	span.SetAttributes(attribute.String("http.route", route))
}

// Close sends what has been recorded, until ctx ends. The tracer records nothing afterwards.
func (t *Tracer) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }
