package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Limits of both listeners. They bound what a slow or hostile peer can hold.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// ErrStopNow is the cause of a context's end that stops a server without the drain
// delay: somebody pressed Ctrl-C and is waiting.
var ErrStopNow = errors.New("stop without a drain")

// Server runs one handler. Fill in the fields, then call Run once.
type Server struct {
	// Settings hold the addresses and the timeouts of the stop.
	Settings Settings
	// Handler answers the public listener's requests.
	Handler http.Handler
	// Prepare makes the Handler of a server that must wait for something first; nil
	// where Handler is set. It may take its time: both listeners are open already,
	// /healthz says that the program is alive and /readyz that it is not ready, and
	// early requests are told to come back. It must return when its context ends. An
	// error ends Run.
	Prepare func(context.Context) (http.Handler, error)
	// Ready tells whether the server can do its job; an error makes /readyz answer
	// 503. Nil means always.
	Ready func(context.Context) error
	// Registry is what /metrics shows; Run adds the metrics of requests to it.
	Registry *prometheus.Registry
	// Log gets a line for every request and for starting and stopping.
	Log *slog.Logger
}

// Run serves until ctx ends, then stops in order: /readyz says no, the drain delay
// passes (unless the context's cause is ErrStopNow), the listener closes, requests
// in flight finish. It returns nil after such a stop, and an error when it could
// not listen or when requests were still in flight at the stop timeout.
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
	var handler preparedHandler
	app := s.httpServer(forwarded(proxies, newObserver(&handler, s.Log, s.Registry, &health.stopping)))
	admin := s.httpServer(adminHandler(health, s.Registry))
	admin.WriteTimeout = 0 // a CPU profile takes as long as it was asked to take
	failed := make(chan error, 3)
	go func() { failed <- app.Serve(lazyListener{public, newCohort(&health.stopping)}) }()
	go func() { failed <- admin.Serve(private) }()
	s.Log.InfoContext(ctx, "listening", "address", public.Addr().String(), "admin_address", private.Addr().String())
	ctx, cancel := context.WithCancel(ctx)
	if s.Prepare == nil {
		handler.set(s.Handler)
		health.prepared.Store(true)
	} else {
		var preparing sync.WaitGroup
		preparing.Go(func() { failed <- s.prepare(ctx, &handler, health) })
		defer preparing.Wait() // what it opens is closed after Run has returned
	}
	defer cancel() // before the wait above: a listener that fails ends the preparing too

	if err := wait(ctx, failed); err != nil {
		return err
	}
	return s.stop(ctx, health, app, admin)
}

// wait returns nil when ctx ends, and the first error of failed before that.
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

// prepare makes the handler and lets requests to it.
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

// stop ends both servers in order. The admin server goes last, so that /readyz can
// say no for as long as anybody asks.
func (s *Server) stop(ctx context.Context, health *health, app, admin *http.Server) error {
	health.stopping.Store(true)
	if !errors.Is(context.Cause(ctx), ErrStopNow) {
		s.Log.InfoContext(ctx, "stopping: not ready any more", "drain_delay", s.Settings.DrainDelay)
		time.Sleep(s.Settings.DrainDelay)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Settings.StopTimeout)
	defer cancel()
	err := app.Shutdown(deadline)
	_ = admin.Close() // only health checks and metrics are cut off
	if err != nil {
		_ = app.Close()
		return fmt.Errorf("requests were still in flight after --stop-timeout (%v): %w", s.Settings.StopTimeout, err)
	}
	s.Log.InfoContext(ctx, "stopped")
	return nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

// preparedHandler answers 503 until it has a handler.
type preparedHandler struct{ handler atomic.Pointer[http.Handler] }

func (p *preparedHandler) set(h http.Handler) { p.handler.Store(&h) }

func (p *preparedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := p.handler.Load()
	if h == nil {
		w.Header().Set("Retry-After", "1")
		problem.Write(w, http.StatusServiceUnavailable, "The server is starting: try again in a moment")
		return
	}
	(*h).ServeHTTP(w, r)
}

// listen opens a listener, or says which setting to change.
func listen(setting, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program: stop that one, or set another address", setting, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", setting, address, err)
	}
	return l, nil
}
