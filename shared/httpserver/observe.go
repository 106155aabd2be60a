package httpserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// RequestIDHeader is the response header that carries the request id, which callers can
// quote and operators find in the log.
const RequestIDHeader = "X-Request-Id"

// unmatchedRoute labels requests for which SetRoute was not called.
const unmatchedRoute = "unmatched"

type requestKey struct{}

// requestInfo is what log lines have of a request.
type requestInfo struct {
	id string
	// traceID and spanID are empty if the request is not part of a trace. recorded says whether that can be looked up.
	traceID, spanID string
	recorded        bool
}

// requestOf returns what is known of the request that ctx belongs to; nothing outside of a request.
func requestOf(ctx context.Context) requestInfo {
	info, _ := ctx.Value(requestKey{}).(*requestInfo)
	if info == nil {
		return requestInfo{}
	}
	return *info
}

// RequestID returns the id of the request that ctx belongs to, or "" outside of a request.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

// observer wraps the handler of a server. It assigns request ids, records metrics, writes
// the request log and turns panics into responses. The log has the path, but neither query
// nor headers, which may hold secrets.
type observer struct {
	next     http.Handler
	log      *slog.Logger
	stopping *atomic.Bool
	tracing  Tracing // may be nil
	ids      idSource
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newObserver(
	next http.Handler, log *slog.Logger, reg prometheus.Registerer, stopping *atomic.Bool, tracing Tracing,
) *observer {
	o := &observer{
		next:     next,
		log:      log,
		stopping: stopping,
		tracing:  tracing,
		ids:      newIDSource(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time to handle a request, by method, route and status; its count is the number of requests.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight",
			Help: "Requests being handled now.",
		}),
	}
	reg.MustRegister(o.duration, o.inFlight)
	return o
}

func (o *observer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rec := &recorder{ResponseWriter: w, route: unmatchedRoute}
	info := &requestInfo{id: o.ids.next()}
	if o.tracing != nil {
		info.traceID, info.spanID, info.recorded = o.tracing.Span(r.Context())
	}
	rec.Header().Set(RequestIDHeader, info.id)
	rec.Header().Set("X-Content-Type-Options", "nosniff")
	if o.stopping.Load() {
		rec.Header().Set("Connection", "close") // the client's next request goes to another server
	}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
	o.inFlight.Inc()
	defer o.finish(rec, r, start)
	o.next.ServeHTTP(rec, r)
}

// finish runs after the handler has returned or panicked.
func (o *observer) finish(rec *recorder, r *http.Request, start time.Time) {
	defer o.inFlight.Dec()
	v := recover()
	abort := v != nil && !o.respondToPanic(rec, r, v)
	o.record(rec, r, time.Since(start))
	if abort {
		panic(http.ErrAbortHandler) // makes net/http drop the connection
	}
}

// respondToPanic logs the panic and responds with 500. It returns false if the connection
// must be dropped instead: the handler asked for that, or the response has begun and the
// client would take the part that was sent for the whole.
func (o *observer) respondToPanic(rec *recorder, r *http.Request, v any) (responded bool) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	o.log.ErrorContext(r.Context(), "panic in handler", "panic", panicText(v), "stack", string(debug.Stack()))
	if rec.status != 0 {
		return false
	}
	rec.Header().Set("Cache-Control", "no-store")
	problem.Write(rec, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
	return true
}

// panicText returns the message of a panic. Of a value that is neither a string nor an
// error it returns the type alone: the value may be a request, with all its headers.
func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return fmt.Sprintf("a value of type %T", v)
}

// record counts the request and logs it, in this order: metrics must not wait for a log
// that blocks.
func (o *observer) record(rec *recorder, r *http.Request, took time.Duration) {
	rec.begin()
	o.measure(r, rec, took)
	level := slog.LevelInfo
	switch {
	case rec.starting:
		level = slog.LevelDebug // clients try again; what the server waits for is logged once
	case rec.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case rec.routine && rec.status < http.StatusBadRequest:
		level = slog.LevelDebug
	}
	o.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", rec.status),
		slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took),
		slog.String("from", r.RemoteAddr))
}

// measure counts the request. One that is recorded in a trace is an exemplar of its time.
func (o *observer) measure(r *http.Request, rec *recorder, took time.Duration) {
	method := methodLabel(r.Method)
	duration := o.duration.WithLabelValues(method, rec.route, strconv.Itoa(rec.status))
	info := requestOf(r.Context())
	if info.traceID != "" {
		o.tracing.SetRoute(r.Context(), method, rec.route)
	}
	if !info.recorded {
		duration.Observe(took.Seconds())
		return
	}
	// Every histogram is an ExemplarObserver.
	duration.(prometheus.ExemplarObserver).ObserveWithExemplar(
		took.Seconds(), prometheus.Labels{"trace_id": info.traceID})
}

// methodLabel returns the method as a metrics label. Clients may invent methods, so
// unknown ones share a label.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// idSource makes request ids: a random part for the process, then a count. They are unique
// and not secret.
type idSource struct {
	process string
	count   *atomic.Uint64
}

func newIDSource() idSource {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return idSource{process: hex.EncodeToString(b[:]) + "-", count: new(atomic.Uint64)}
}

func (s idSource) next() string {
	return s.process + strconv.FormatUint(s.count.Add(1), 36)
}
