package tracing

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns a transport that records a span for each request. The span has the host, but not the path or query
// of the URL. The request gets no traceparent: it goes to third parties, who need not know our traces. A nil Tracer
// returns next.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return transport{t.tracer, next}
}

// PollTransport returns a transport like that of Transport, for requests that are repeated all the time. It records
// a span only if there is news: not for a response with 304 Not Modified.
func (t *Tracer) PollTransport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return pollTransport{t.tracer, next}
}

type transport struct {
	tracer trace.Tracer
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := startOutgoing(t.tracer, r)
	defer span.End()
	resp, err := t.next.RoundTrip(r.WithContext(ctx))
	setOutcome(span, resp, err)
	return resp, err
}

type pollTransport struct {
	tracer trace.Tracer
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t pollTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusNotModified || errors.Is(r.Context().Err(), context.Canceled) {
		return resp, err
	}
	_, span := startOutgoing(t.tracer, r, trace.WithTimestamp(began))
	defer span.End()
	setOutcome(span, resp, err)
	return resp, err
}

// startOutgoing starts the span of a request to another server.
func startOutgoing(
	tracer trace.Tracer,
	r *http.Request,
	options ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	return tracer.Start(r.Context(), methodOf(r.Method), append(options,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			attribute.String("http.request.method", methodOf(r.Method)),
			attribute.String("server.address", r.URL.Hostname()),
		))...)
}

// setOutcome records the status of a response, or that no response came.
func setOutcome(span trace.Span, resp *http.Response, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "no response")
		return
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, "")
	}
}
