package httpserver

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener is a listener whose connections the test creates.
type pipeListener chan net.Conn

func (p pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipeListener) Close() error   { close(p); return nil }
func (p pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// pace is how a client reads responses.
type pace int

const (
	quickly pace = iota
	slowly       // a byte every 400 ms
	never
)

// A connection that makes the server wait is closed after the timeout.
func TestTimeouts(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
	for _, tt := range []struct {
		name     string
		settings Settings
		sends    []string // one a second
		reads    pace
		want     time.Duration
	}{
		{"no request", Settings{}, nil, quickly, 5 * time.Second},
		{"header not finished", Settings{}, []string{"GET / HTTP/1.1\r\n", "Host: x\r\n", "A: b\r\n"}, quickly, 5 * time.Second},
		{"body not finished", Settings{}, []string{post, "a", "b"}, quickly, 15 * time.Second},
		{"idle", Settings{}, []string{request, request}, quickly, time.Second + 2*time.Minute},
		{"response not read", Settings{}, []string{request}, never, time.Minute},
		{"response read slowly", Settings{}, []string{request}, slowly, time.Minute},
		{"response read slowly, set", Settings{WriteTimeout: 3 * time.Second}, []string{request}, slowly, 3 * time.Second},
		{"requests without reading", Settings{WriteTimeout: 3 * time.Second}, []string{request + request + request}, never,
			3 * time.Second},
		{"header, set", Settings{ReadHeaderTimeout: time.Second}, nil, quickly, time.Second},
		{"body, set", Settings{ReadTimeout: time.Minute}, []string{post}, quickly, time.Minute},
		{"idle, set", Settings{IdleTimeout: time.Second}, []string{request}, quickly, time.Second},
		{"response, set", Settings{WriteTimeout: time.Second}, []string{request}, never, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := serve(t, tt.settings)
				go func() {
					for _, text := range tt.sends {
						_, _ = io.WriteString(client, text)
						time.Sleep(time.Second)
					}
				}()
				if got := untilClosed(client, tt.reads, tt.want); got != tt.want {
					t.Errorf("closed after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// serve runs a server with large responses and returns the client's end of a connection.
func serve(t *testing.T, settings Settings) net.Conn {
	t.Helper()
	body := strings.Repeat("x", 64<<10)
	s := (&Server{Settings: settings, Log: slog.New(slog.DiscardHandler)}).httpServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, body)
		}))
	listener := make(pipeListener, 1)
	go func() { _ = s.Serve(listener) }()
	server, client := net.Pipe()
	listener <- server
	t.Cleanup(func() { _, _ = client.Close(), s.Close() })
	return client
}

// untilClosed returns how long the server keeps the connection open. A client that never
// reads looks at the end of the timeout only.
func untilClosed(client net.Conn, reads pace, timeout time.Duration) time.Duration {
	begin := time.Now()
	ctx, closed := context.WithCancel(context.Background())
	go func() {
		defer closed()
		switch reads {
		case never:
			time.Sleep(timeout + time.Millisecond)
		case slowly:
			for b := make([]byte, 1); ; time.Sleep(400 * time.Millisecond) {
				if _, err := client.Read(b); err != nil {
					return
				}
			}
		case quickly:
		}
		_, _ = io.Copy(io.Discard, client)
	}()
	<-ctx.Done()
	return time.Since(begin).Round(time.Second)
}
