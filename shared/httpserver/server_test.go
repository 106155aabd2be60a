package httpserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

func TestHealthAndReadiness(t *testing.T) {
	var broken atomic.Pointer[error]
	r := start(t, httpserver.Server{Handler: hello, Ready: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a readiness check has no deadline")
		}
		if err := broken.Load(); err != nil {
			return *err
		}
		return nil
	}})
	want := func(path string, status int, body string) {
		t.Helper()
		if a := r.get(r.admin + path); a.status != status || a.body != body {
			t.Errorf("%s: %d %q, want %d %q", path, a.status, a.body, status, body)
		}
	}
	metric := func(value string) {
		t.Helper()
		if text := r.get(r.admin + "/metrics").body; !strings.Contains(text, "\nhallpass_ready "+value+"\n") {
			t.Errorf("the metric is not %s", value)
		}
	}
	want("/healthz", 200, "alive\n")
	want("/readyz", 200, "ready\n")
	metric("1")
	err := errors.New("database is locked")
	broken.Store(&err)
	want("/healthz", 200, "alive\n")
	want("/readyz", 503, "not ready: database is locked\n")
	metric("0")
	broken.Store(nil)
	want("/readyz", 200, "ready\n")
	if a := r.do(http.MethodPost, r.admin+"/readyz", nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d", a.status)
	}
}

// The endpoints of the admin listener are not on the public one.
func TestPublicListenerHasTheHandlerOnly(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.NotFoundHandler()})
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/"} {
		if a := r.get(r.public + path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestCheckReady(t *testing.T) {
	var ready atomic.Bool
	r := start(t, httpserver.Server{Handler: hello, Ready: func(context.Context) error {
		if ready.Load() {
			return nil
		}
		return errors.New("no keys")
	}})
	address := strings.TrimPrefix(r.admin, "http://")
	if err := httpserver.CheckReady(t.Context(), address); err == nil || err.Error() != "not ready: no keys" {
		t.Errorf("before the server is ready: %v", err)
	}
	ready.Store(true)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{address, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		if err := httpserver.CheckReady(t.Context(), a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	err = httpserver.CheckReady(t.Context(), "9001")
	if err == nil || !strings.Contains(err.Error(), "--admin-listen (HALLPASS_ADMIN_LISTEN)") {
		t.Errorf("an address without a port: %v", err)
	}
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	if err := httpserver.CheckReady(t.Context(), address); err == nil {
		t.Error("a stopped server is ready")
	}
}

// CheckReady ignores the proxy of the environment.
func TestCheckReadyUsesNoProxy(t *testing.T) {
	transport := http.DefaultTransport.(*http.Transport)
	before := transport.Proxy
	defer func() { transport.Proxy = before }()
	transport.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("a proxy was looked up") }
	r := start(t, httpserver.Server{Handler: hello})
	if err := httpserver.CheckReady(t.Context(), strings.TrimPrefix(r.admin, "http://")); err != nil {
		t.Error(err)
	}
}

// After SIGTERM /readyz fails, and the server keeps serving until the drain delay is over.
func TestDrain(t *testing.T) {
	t.Parallel()
	const delay = 15 * time.Second // the requests below must be faster
	r := start(t, httpserver.Server{Handler: hello, Settings: httpserver.Settings{DrainDelay: delay}})
	ask := func() {
		t.Helper()
		resp, err := http.Get(r.public)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		stopping := r.get(r.admin+"/readyz").status != 200
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" || resp.Close != stopping {
			t.Errorf("stopping: %v, response %q, connection closed: %v (%v)", stopping, body, resp.Close, err)
		}
	}
	ask()
	stopped := time.Now()
	r.cancel(nil)
	r.until("/readyz fails", func() bool {
		a, err := r.try(http.MethodGet, r.admin+"/readyz", nil)
		return err == nil && a.status == 503 && a.body == "not ready: stopping\n"
	})
	ask()
	if a := r.get(r.admin + "/healthz"); a.status != 200 {
		t.Errorf("/healthz during the drain: %d", a.status)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(stopped); took < delay {
		t.Errorf("stopped after %v, before the end of the drain delay", took)
	}
	if _, err := r.try(http.MethodGet, r.public, nil); err == nil {
		t.Error("the server still serves after Run has returned")
	}
	if len(r.log.with(t, "stopped")) != 1 {
		t.Errorf("the stop is not logged:\n%s", r.log)
	}
}

// gate is a handler that blocks until it is opened.
type gate struct{ entered, open chan struct{} }

func newGate() gate { return gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	close(g.entered)
	select {
	case <-g.open:
		_, _ = io.WriteString(w, "finished")
	case <-r.Context().Done():
	}
}

// ErrStopNow skips the drain delay; requests in flight still finish.
func TestStopNowLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := start(t, httpserver.Server{Handler: g, Settings: httpserver.Settings{DrainDelay: time.Hour}})
	got := make(chan response, 1)
	go func() {
		a, err := r.try(http.MethodGet, r.public, nil)
		if err != nil {
			a.body = err.Error()
		}
		got <- a
	}()
	<-g.entered
	r.cancel(httpserver.ErrStopNow)
	r.until("the listener closes", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.public, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	select {
	case err := <-r.done:
		t.Fatalf("Run returned (%v) while a request was in flight", err)
	default:
	}
	close(g.open)
	if a := <-got; a.status != 200 || a.body != "finished" {
		t.Errorf("the request in flight got %d %q", a.status, a.body)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStopTimeout(t *testing.T) {
	t.Parallel()
	g := newGate()
	r := start(t, httpserver.Server{Handler: g, Settings: httpserver.Settings{StopTimeout: 50 * time.Millisecond}})
	cut := make(chan error, 1)
	go func() {
		_, err := r.try(http.MethodGet, r.public, nil)
		cut <- err
	}()
	<-g.entered
	if err := r.stop(httpserver.ErrStopNow); err == nil || !strings.Contains(err.Error(), "--stop-timeout") {
		t.Errorf("Run: %v", err)
	}
	var timeout net.Error
	if err := <-cut; err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the request in flight was not cut off: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	free, used := "127.0.0.1:0", other.Addr().String()
	tests := []struct{ listen, admin, says string }{
		{used, free, "--listen (HALLPASS_LISTEN): " + used + " is in use by another program"},
		{free, used, "--admin-listen (HALLPASS_ADMIN_LISTEN): " + used + " is in use by another program"},
		{"192.0.2.1:80", free, "--listen (HALLPASS_LISTEN): cannot listen on 192.0.2.1:80"},
		{"127.0.0.1:99999", free, "--listen (HALLPASS_LISTEN): cannot listen on 127.0.0.1:99999"},
	}
	for _, tt := range tests {
		server := httpserver.Server{
			Settings: httpserver.Settings{Listen: tt.listen, AdminListen: tt.admin},
			Handler:  hello, Registry: httpserver.NewRegistry("v"), Log: slog.New(slog.DiscardHandler),
		}
		if err := server.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), tt.says) {
			t.Errorf("listen %s, admin %s: %v, want %q", tt.listen, tt.admin, err, tt.says)
		}
	}
}

// The header of a request may have about 20 KiB: enough for an access token of 8 KiB.
func TestHeaderLimit(t *testing.T) {
	r := start(t, httpserver.Server{Handler: hello})
	for size, want := range map[int]int{16 << 10: 200, 24 << 10: 431} {
		header := http.Header{"X-Long": {strings.Repeat("x", size)}}
		if a := r.do(http.MethodGet, r.public, header); a.status != want {
			t.Errorf("header of %d bytes: %d, want %d", size, a.status, want)
		}
	}
}

// During Prepare the server is alive but not ready. Requests wait for it, and get 503 with
// Retry-After if it takes long, which is no error in the log.
func TestPrepare(t *testing.T) {
	release := make(chan struct{})
	r := start(t, httpserver.Server{Prepare: func(ctx context.Context) (http.Handler, error) {
		select {
		case <-release:
			return hello, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	if a := r.get(r.admin + "/healthz"); a.status != 200 {
		t.Errorf("/healthz: %d", a.status)
	}
	if a := r.get(r.admin + "/readyz"); a.status != 503 || a.body != "not ready: starting\n" {
		t.Errorf("/readyz: %d %q", a.status, a.body)
	}
	if a := r.get(r.public); a.status != 503 || a.header.Get("Retry-After") != "1" ||
		a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an early request: %d %v", a.status, a.header)
	}
	if requests := r.log.with(t, "request"); len(requests) != 0 {
		t.Errorf("the early request is logged: %v", requests)
	}
	waiting := make(chan response, 1)
	go func() {
		a, err := r.try(http.MethodGet, r.public, nil)
		if err != nil {
			a.body = err.Error()
		}
		waiting <- a
	}()
	r.until("a request waits", func() bool {
		return strings.Contains(r.get(r.admin+"/metrics").body, "\nhttp_requests_in_flight 1\n")
	})
	close(release)
	if a := <-waiting; a.status != 200 || a.body != "hello" {
		t.Errorf("a request shortly before the server is ready: %d %q", a.status, a.body)
	}
	r.until("the server is ready", func() bool { return r.get(r.admin+"/readyz").status == 200 })
	if a := r.get(r.public); a.status != 200 || a.body != "hello" {
		t.Errorf("a request: %d %q", a.status, a.body)
	}
}

func TestPrepareFails(t *testing.T) {
	broken := errors.New("schema is newer than this program")
	r := start(t, httpserver.Server{Prepare: func(context.Context) (http.Handler, error) { return nil, broken }})
	if err := r.wait(); !errors.Is(err, broken) {
		t.Errorf("Run: %v, want the error of Prepare", err)
	}
}

// A stop ends the context of Prepare and waits until it has returned.
func TestStopWhilePreparing(t *testing.T) {
	returned := false
	r := start(t, httpserver.Server{Prepare: func(ctx context.Context) (http.Handler, error) {
		<-ctx.Done()
		returned = true
		return nil, ctx.Err()
	}})
	if err := r.stop(nil); err != nil || !returned {
		t.Errorf("Run: %v; Prepare had returned: %v", err, returned)
	}
}
