package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// maxHeaderBytes bounds the header of a request: an access token of 8 KiB, and as much for
// everything else. net/http adds 4 KiB.
const maxHeaderBytes = 16 << 10

// ErrStopNow is the cause with which the context passed to Run ends, if the server is to stop
// without the drain delay.
var ErrStopNow = errors.New("stop without a drain")

// Server runs one handler. Set the fields, then call Run once.
type Server struct {
	// Settings has the addresses and the timeouts.
	Settings Settings
	// Handler handles the requests of the public listener.
	Handler http.Handler
	// Prepare returns the handler of a server that must wait for something first, such as
	// a database. Set it or Handler. While it runs, /healthz succeeds, /readyz fails, and
	// requests wait for two seconds and then get 503 with Retry-After. It must return when
	// its context ends. An error ends Run.
	Prepare func(context.Context) (http.Handler, error)
	// Ready reports whether the server can serve requests; an error makes /readyz respond
	// with 503. Its context ends after 3 seconds. Nil means always ready.
	Ready func(context.Context) error
	// AdminPages are further pages of the admin listener, by path. They are served by GET, once
	// Prepare has returned.
	AdminPages map[string]http.Handler
	// PublicURL is the URL by which clients call the server. If its scheme is https, every
	// response has Strict-Transport-Security (RFC 6797).
	PublicURL string
	// Tracing traces the requests of the public listener; nil means that nothing is traced.
	Tracing Tracing
	// Registry is what /metrics serves. Run registers the metrics of requests in it.
	Registry *prometheus.Registry
	// Log gets a line for every request, and one when the server starts and stops.
	Log *slog.Logger
}

// Tracing traces requests; *tracing.Tracer does. It must be safe for concurrent use.
type Tracing interface {
	// Handler returns a handler that calls next with a span in the context of the request.
	Handler(next http.Handler) http.Handler
	// Span returns the ids of the trace and the span in ctx in hexadecimal, which are empty without one, and
	// whether they are recorded.
	Span(ctx context.Context) (traceID, spanID string, recorded bool)
	// SetRoute names the span in ctx when it is about to end.
	SetRoute(ctx context.Context, method, route string)
	// Close sends what has been recorded, until ctx ends.
	Close(ctx context.Context) error
}

// Run serves until ctx ends and then drains: /readyz fails, the drain delay passes (unless
// the cause of ctx is ErrStopNow), the listener closes, and requests in flight finish. It
// returns nil after that, and an error if it cannot listen or if requests are still in
// flight at the stop timeout.
func (s *Server) Run(ctx context.Context) error {
	public, err := listen("--listen (HALLPASS_LISTEN)", s.Settings.Listen)
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := listen("--admin-listen (HALLPASS_ADMIN_LISTEN)", s.Settings.AdminListen)
	if err != nil {
		return err
	}
	defer private.Close()

	proxies, err := parseProxies(s.Settings.TrustedProxies)
	if err != nil {
		return err
	}
	health := &health{ready: s.Ready}
	s.Registry.MustRegister(health.readyMetric())
	handler := newPreparedHandler()
	observer := newObserver(strictTransport(s.PublicURL, handler), s.Log, s.Registry, &health.stopping, s.Tracing)
	app := s.httpServer(forwarded(proxies, s.traced(observer)))
	admin := s.httpServer(adminHandler(health, s.Registry, s.Settings, s.AdminPages))
	refused := newRefusedCounter(s.Registry)
	public = newLimitListener(public, s.Settings.maxConnections(), proxies, refused.WithLabelValues("public").Inc)
	private = newLimitListener(private, maxAdminConnections, nil, refused.WithLabelValues("admin").Inc)
	failed := make(chan error, 3)
	go func() { failed <- app.Serve(public) }()
	go func() { failed <- admin.Serve(private) }()
	s.Log.InfoContext(ctx, "listening", "address", public.Addr().String(), "admin_address", private.Addr().String())
	ctx, cancel := context.WithCancel(ctx)
	if s.Prepare == nil {
		handler.set(s.Handler)
		health.prepared.Store(true)
	} else {
		var preparing sync.WaitGroup
		preparing.Go(func() { failed <- s.prepare(ctx, handler, health) })
		defer preparing.Wait() // callers close what Prepare opened once Run has returned
	}
	defer cancel() // runs before Wait: Prepare must end if a listener fails

	if err := wait(ctx, failed); err != nil {
		return err
	}
	return s.stop(ctx, health, app, admin)
}

// wait returns nil when ctx ends, or the first error from failed before that.
func wait(ctx context.Context, failed <-chan error) error {
	for ctx.Err() == nil {
		select {
		case err := <-failed:
			if err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	return nil
}

// prepare calls Prepare and puts its handler into service.
func (s *Server) prepare(ctx context.Context, handler *preparedHandler, health *health) error {
	prepared, err := s.Prepare(ctx)
	if err != nil {
		return err
	}
	handler.set(prepared)
	health.prepared.Store(true)
	s.Log.InfoContext(ctx, "ready")
	return nil
}

// stop drains and closes both servers. The admin server is last, so that /readyz responds
// until the end.
func (s *Server) stop(ctx context.Context, health *health, app, admin *http.Server) error {
	health.stopping.Store(true)
	if !errors.Is(context.Cause(ctx), ErrStopNow) {
		s.Log.InfoContext(ctx, "draining", "drain_delay", s.Settings.DrainDelay)
		time.Sleep(s.Settings.DrainDelay)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Settings.StopTimeout)
	defer cancel()
	err := app.Shutdown(deadline)
	s.closeTracing(deadline)
	_ = admin.Close() // interrupts health checks and metrics only
	if err != nil {
		_ = app.Close()
		return fmt.Errorf("requests were still in flight after --stop-timeout (%v): %w", s.Settings.StopTimeout, err)
	}
	s.Log.InfoContext(ctx, "stopped")
	return nil
}

// traced returns a handler that traces requests, if the server does.
func (s *Server) traced(next http.Handler) http.Handler {
	if s.Tracing == nil {
		return next
	}
	return s.Tracing.Handler(next)
}

// maxTracingClose bounds how long a server that stops waits for a collector of traces.
const maxTracingClose = 5 * time.Second

// closeTracing sends the last traces. A collector that does not respond in time does not fail the stop.
func (s *Server) closeTracing(ctx context.Context) {
	if s.Tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxTracingClose)
	defer cancel()
	if err := s.Tracing.Close(ctx); err != nil {
		s.Log.WarnContext(ctx, "the last traces could not be sent", "error", err)
	}
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           closeAfterChunks(h),
		ReadHeaderTimeout: cmp.Or(s.Settings.ReadHeaderTimeout, defaultReadHeaderTimeout),
		ReadTimeout:       cmp.Or(s.Settings.ReadTimeout, defaultReadTimeout),
		WriteTimeout:      cmp.Or(s.Settings.WriteTimeout, defaultWriteTimeout),
		IdleTimeout:       cmp.Or(s.Settings.IdleTimeout, defaultIdleTimeout),
		MaxHeaderBytes:    maxHeaderBytes,
		// net/http would respond to OPTIONS * by itself, without a log line and our headers.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

// strictTransport makes browsers use https only for the host of an https URL (RFC 6797). The
// hosts below it may be others'.
func strictTransport(publicURL string, next http.Handler) http.Handler {
	if u, err := url.Parse(publicURL); err != nil || u.Scheme != "https" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000") // a year
		next.ServeHTTP(w, r)
	})
}

// prepareWait is how long a request waits for the handler while the server starts.
const prepareWait = 2 * time.Second

// preparedHandler serves requests with the handler that set is called with. Requests that
// come earlier wait for it, and get 503 if that takes longer than prepareWait.
type preparedHandler struct {
	handler atomic.Pointer[http.Handler]
	ready   chan struct{} // closed when handler is set
}

func newPreparedHandler() *preparedHandler { return &preparedHandler{ready: make(chan struct{})} }

// set puts h into service. It is called once.
func (p *preparedHandler) set(h http.Handler) {
	p.handler.Store(&h)
	close(p.ready)
}

func (p *preparedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.handler.Load() == nil && !p.wait(r) {
		if rec := recorderOf(w); rec != nil {
			rec.starting = true
		}
		w.Header().Set("Retry-After", "1")
		problem.Write(w, http.StatusServiceUnavailable, "The server is starting: try again in a moment")
		return
	}
	(*p.handler.Load()).ServeHTTP(w, r)
}

// wait reports whether the handler is set before prepareWait is over or the client leaves.
func (p *preparedHandler) wait(r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), prepareWait)
	defer cancel()
	select {
	case <-p.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// listen opens a listener. The error names the setting to change.
func listen(setting, address string) (net.Listener, error) {
	address, err := ownAddress(setting, address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf(
			"%s: %s is in use by another program: stop that one, or set another address", setting, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, address, err)
	}
	return l, nil
}
