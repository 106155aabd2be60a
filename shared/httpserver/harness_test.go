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

// patience bounds every wait of these tests; none of them waits that long unless
// it fails.
const patience = 20 * time.Second

// line is a line of a JSON log.
type line map[string]any

// logBook is the writer of a log, which tests read line by line.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// with returns the lines that have this message.
func (b *logBook) with(t *testing.T, message string) []line {
	t.Helper()
	var found []line
	for _, text := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if text == "" {
			continue
		}
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("the log has a line that is not JSON: %q", text)
		}
		if l["msg"] == message {
			found = append(found, l)
		}
	}
	return found
}

// running is a server that runs on free ports of the loopback interface.
type running struct {
	t             *testing.T
	public, admin string // URLs without a path
	log           *logBook
	logger        *httpserver.Logger
	cancel        context.CancelCauseFunc
	done          chan error
}

// start runs the server; the test may set its fields but for the log, the
// registry and the addresses. It is stopped at the end of the test, if the test
// has not.
func start(t *testing.T, server httpserver.Server) *running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &running{t: t, log: new(logBook), cancel: cancel, done: make(chan error, 1)}
	s := &server.Settings
	s.Listen, s.AdminListen, s.LogFormat, s.LogLevel = "127.0.0.1:0", "127.0.0.1:0", "json", "info"
	if s.StopTimeout == 0 {
		s.StopTimeout = patience
	}
	r.logger = httpserver.NewLogger(r.log, *s)
	server.Log, server.Registry = r.logger.Logger, httpserver.NewRegistry("v1.2.3")
	go func() { r.done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel(httpserver.ErrStopNow)
		r.logger.Close()
	})
	r.until("the server listens", func() bool { return len(r.log.with(t, "listening")) == 1 })
	listening := r.log.with(t, "listening")[0]
	r.public, r.admin = "http://"+listening["address"].(string), "http://"+listening["admin_address"].(string)
	return r
}

// until waits for something that must come true.
func (r *running) until(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("in vain: %s; the log is\n%s", what, r.log)
		}
	}
}

// stop ends the server for this reason, nil meaning SIGTERM, and returns what Run
// returned. All of the log has been written then.
func (r *running) stop(cause error) error {
	r.t.Helper()
	r.cancel(cause)
	return r.wait()
}

func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.logger.Close()
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
		return nil
	}
}

// answer is what a server answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks for a URL, on a connection of its own.
func (r *running) get(url string) answer {
	r.t.Helper()
	return r.do(http.MethodGet, url, nil)
}

func (r *running) do(method, url string, header http.Header) answer {
	r.t.Helper()
	a, err := r.try(method, url, header)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// try is do for requests that may fail.
func (r *running) try(method, url string, header http.Header) (answer, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header = header.Clone()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, err
}

// hello is the least of handlers.
var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
