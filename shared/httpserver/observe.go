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
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// RequestIDHeader is the response header that carries the request's id, for a
// caller to quote and for us to find in the log.
const RequestIDHeader = "X-Request-Id"

// unmatchedRoute is the route of requests that no route took.
const unmatchedRoute = "unmatched"

// SetRoute tells the metrics and the log which route took the request: its
// template, not its path, so that the number of routes stays bounded. A router
// calls it with the writer that it was given.
func SetRoute(w http.ResponseWriter, template string) {
	if rec, ok := w.(*recorder); ok {
		rec.route = template
	}
}

// SetRoutine says that requests like this one come all the time, and that a line for each
// would hide the others: the log has it at the level of debugging, unless it fails.
func SetRoutine(w http.ResponseWriter) {
	if rec, ok := w.(*recorder); ok {
		rec.routine = true
	}
}

type requestIDKey struct{}

// RequestID returns the id of the request that ctx belongs to, or nothing outside
// of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// requestContext is the context of a request. It is a type of its own because the id
// and the header field that carries it are in one piece of memory with it, and take four
// with context.WithValue.
type requestContext struct {
	context.Context
	id [1]string
}

// Value knows the request's id.
func (c *requestContext) Value(key any) any {
	if _, ok := key.(requestIDKey); ok {
		return c.id[0]
	}
	return c.Context.Value(key)
}

// exchange is what is kept of a request while it is answered.
type exchange struct {
	recorder
	context requestContext
}

// noSniff is a field of every answer's header; nobody may change its element.
var noSniff = []string{"nosniff"}

// observer wraps a whole server's handler: id, metrics, log line, and the answer
// to a panic. It logs the path, never the query and no header, since those may
// hold secrets.
type observer struct {
	next     http.Handler
	log      *slog.Logger
	stopping *atomic.Bool
	ids      idSource
	dates    dates
	tally    *tally
	inFlight atomic.Int64
}

func newObserver(next http.Handler, log *slog.Logger, reg prometheus.Registerer, stopping *atomic.Bool) *observer {
	o := &observer{
		next:     next,
		log:      log,
		stopping: stopping,
		ids:      newIDSource(),
		tally:    newTally(),
	}
	reg.MustRegister(o.tally, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "http_requests_in_flight",
		Help: "Requests being answered right now.",
	}, func() float64 { return float64(o.inFlight.Load()) }))
	return o
}

func (o *observer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{
		recorder: recorder{ResponseWriter: w, route: unmatchedRoute},
		context:  requestContext{Context: r.Context(), id: [1]string{o.ids.next()}},
	}
	h := w.Header()
	h[RequestIDHeader] = x.context.id[:]
	h["X-Content-Type-Options"] = noSniff
	h["Date"] = o.dates.at(start)
	if o.stopping.Load() {
		h["Connection"] = []string{"close"} // the client's next request goes elsewhere
	}
	r = r.WithContext(&x.context)
	o.inFlight.Add(1)
	defer o.finish(x, r, start)
	o.next.ServeHTTP(&x.recorder, r)
}

// finish does what follows every request, whatever became of its handler.
func (o *observer) finish(x *exchange, r *http.Request, start time.Time) {
	defer o.inFlight.Add(-1) // only then: net/http has yet to send what it has buffered
	v := recover()
	cutOff := v != nil && !o.answerPanic(&x.recorder, r, v)
	o.record(x, r, start)
	if cutOff {
		panic(http.ErrAbortHandler) // net/http's own way to drop a connection
	}
}

// answerPanic logs a panic once and answers with a fixed text. It is false when the
// connection must be dropped instead: the handler asked for that, or the client
// would take the beginning of an answer for the whole.
func (o *observer) answerPanic(rec *recorder, r *http.Request, v any) (answered bool) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return false
	}
	o.log.ErrorContext(r.Context(), "panic while answering", "panic", panicText(v), "stack", string(debug.Stack()))
	if rec.status != 0 {
		return false
	}
	rec.Header().Set("Cache-Control", "no-store")
	problem.Write(rec, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
	return true
}

// panicText says what a panic was about. Of a value that is neither a text nor an
// error only the type is said: it may be a request, with all its headers.
func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return fmt.Sprintf("a value of type %T", v)
}

// record has the request counted, and logs it.
func (o *observer) record(x *exchange, r *http.Request, start time.Time) {
	took := time.Since(start)
	status := x.status
	if status == 0 {
		status = http.StatusOK
	}
	o.tally.add(r.Method, x.route, status, took)
	line := requestLine{
		time: start.Add(took), level: slog.LevelInfo, method: r.Method, path: r.URL.Path,
		status: status, bytes: x.bytes, took: took, from: r.RemoteAddr, id: x.context.id[0],
	}
	if len(r.RequestURI) > maxPlain { // all of which is kept while any part of it is
		line.method, line.path = strings.Clone(line.method), strings.Clone(line.path)
	}
	switch {
	case status >= http.StatusInternalServerError:
		line.level = slog.LevelError
	case x.routine && status < http.StatusBadRequest:
		line.level = slog.LevelDebug
	}
	line.log(r.Context(), o.log)
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	route   string
	routine bool
	status  int
	bytes   int64
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= http.StatusOK { // 1xx answers precede the real one
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// idSource makes request ids: a random part for the process and a count. They are
// unique and cheap, and they are not secrets.
type idSource struct {
	process string
	count   *atomic.Uint64
}

func newIDSource() idSource {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return idSource{process: hex.EncodeToString(b[:]) + "-", count: new(atomic.Uint64)}
}

func (s idSource) next() string {
	var id [32]byte
	return string(strconv.AppendUint(append(id[:0], s.process...), s.count.Add(1), 36))
}
