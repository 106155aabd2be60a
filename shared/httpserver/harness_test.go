package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// timeout bounds every wait of these tests. No wait takes that long unless a test fails.
const timeout = 5 * time.Minute

// line is a line of a JSON log.
type line map[string]any

// logBuffer holds a log for tests to read.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// with returns the lines with the message.
func (b *logBuffer) with(t *testing.T, message string) []line {
	t.Helper()
	var found []line
	for _, text := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if text == "" {
			continue
		}
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("a log line is not JSON: %q", text)
		}
		if l["msg"] == message {
			found = append(found, l)
		}
	}
	return found
}

// running is a server on free ports of the loopback interface.
type running struct {
	t             *testing.T
	public, admin string // URLs without a path
	log           *logBuffer
	cancel        context.CancelCauseFunc
	done          chan error
}

// start runs server with a log, a registry and addresses of its own, and stops it at the end
// of the test.
func start(t *testing.T, server httpserver.Server) *running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &running{t: t, log: new(logBuffer), cancel: cancel, done: make(chan error, 1)}
	s := &server.Settings
	s.Listen, s.AdminListen, s.LogFormat, s.LogLevel = "127.0.0.1:0", "127.0.0.1:0", "json", "info"
	if s.StopTimeout == 0 {
		s.StopTimeout = timeout
	}
	server.Log, server.Registry = httpserver.NewLogger(r.log, *s), httpserver.NewRegistry("v1.2.3")
	go func() { r.done <- server.Run(ctx) }()
	t.Cleanup(func() { cancel(httpserver.ErrStopNow) })
	r.until("the server listens", func() bool { return len(r.log.with(t, "listening")) == 1 })
	listening := r.log.with(t, "listening")[0]
	r.public, r.admin = "http://"+listening["address"].(string), "http://"+listening["admin_address"].(string)
	return r
}

// until waits for condition, and fails the test after the timeout.
func (r *running) until(what string, condition func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(timeout); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("timeout: waiting until %s; the log:\n%s", what, r.log)
		}
	}
}

// stop ends the server's context with cause and returns the result of Run.
func (r *running) stop(cause error) error {
	r.t.Helper()
	r.cancel(cause)
	return r.wait()
}

func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(timeout):
		r.t.Fatal("Run has not returned")
		return nil
	}
}

// response is a response whose body has been read.
type response struct {
	status int
	header http.Header
	body   string
}

// get sends GET on a connection of its own.
func (r *running) get(url string) response {
	r.t.Helper()
	return r.do(http.MethodGet, url, nil)
}

func (r *running) do(method, url string, header http.Header) response {
	r.t.Helper()
	a, err := r.try(method, url, header)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// try is do for requests that are allowed to fail.
func (r *running) try(method, url string, header http.Header) (response, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return response{}, err
	}
	req.Header = header.Clone()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: timeout}
	resp, err := client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
