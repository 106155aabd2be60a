package load_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// plan is a small plan for the server at the address.
func plan(address string) load.Plan {
	return load.Plan{Address: address, Requests: [][]byte{[]byte(get)}, Connections: 3, Count: 20}
}

// inBothModes runs the test with a generator that waits and with one that spins.
func inBothModes(t *testing.T, test func(t *testing.T, plan func(address string) load.Plan)) {
	for name, spin := range map[string]bool{"waiting": false, "spinning": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(address string) load.Plan {
				p := plan(address)
				p.Spin = spin
				return p
			})
		})
	}
}

// serve returns the address of a server with the handler.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// raw returns the address of a server that sends this text, whatever was asked, once
// on each connection, and then waits for its end.
func raw(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, text)
				}
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String()
}

// What the generator counts is what the server answered.
func TestCountsWhatIsAnswered(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		var answered atomic.Int64
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			answered.Add(1)
			body := strings.Repeat("x", len(r.Header.Get("Token"))*1000) // empty, and several reads long
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = io.WriteString(w, body)
		})
		p := plan(address)
		p.Requests = append(p.Requests, []byte("GET / HTTP/1.1\r\nHost: localhost\r\nToken: 1234567890\r\n\r\n"))
		result, err := load.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if result.Requests != 60 || answered.Load() != 60 || len(result.Latencies) != 60 {
			t.Errorf("counted %d with %d latencies, the server %d; both should be 60", result.Requests, len(result.Latencies), answered.Load())
		}
		if rate := result.PerSecond(); rate <= 0 || rate > 60/result.Latencies[59].Seconds() {
			t.Errorf("%v requests a second cannot be: the slowest took %v", rate, result.Latencies[59])
		}
	})
}

// Each connection has its own request, and stays open.
func TestConnectionsStayOpen(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		peers := make(chan string, 100)
		address := serve(t, func(_ http.ResponseWriter, r *http.Request) { peers <- r.RemoteAddr })
		if _, err := load.Run(t.Context(), plan(address)); err != nil {
			t.Fatal(err)
		}
		close(peers)
		seen := map[string]int{}
		for peer := range peers {
			seen[peer]++
		}
		if len(seen) != 3 {
			t.Errorf("%d connections, not 3: %v", len(seen), seen)
		}
	})
}

// One answer that is not a whole 200 ends the run with an error that tells what came.
func TestRefusesBadAnswers(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		for _, tt := range []struct{ name, answer, want string }{
			{"401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401 Unauthorized"},
			{"500", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno", "500"},
			{"204", "HTTP/1.1 204 No Content\r\n\r\n", "204"},
			{"2000", "HTTP/1.1 2000 No\r\nContent-Length: 0\r\n\r\n", "2000"},
			{"no HTTP", "hello\r\n\r\n", "hello"},
			{"no length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "no Content-Length"},
			{"length is no number", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", `"many"`},
			{"length is negative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", `"-1"`},
			{"more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "2 bytes follow"},
			{"too long", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1000000), "longer than"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				result, err := load.Run(t.Context(), plan(raw(t, tt.answer)))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, not one with %q", err, tt.want)
				}
				if result.Requests != 0 {
					t.Errorf("%d requests counted", result.Requests)
				}
			})
		}
	})
}

// A server that stops to answer well in the middle of a run does not go unnoticed.
func TestNoticesALaterFailure(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		var answered atomic.Int64
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if answered.Add(1) == 50 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		if _, err := load.Run(t.Context(), plan(address)); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("error %v, not one with 503", err)
		}
	})
}

// A server that hangs up does not go unnoticed.
func TestNoticesTheEndOfAConnection(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		address := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if _, err := load.Run(t.Context(), plan(address)); !errors.Is(err, io.EOF) {
			t.Errorf("error %v, not the end of the file", err)
		}
	})
}

// A run by the clock ends when it should, and sends all the time.
func TestEndsByTheClock(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		const duration = 100 * time.Millisecond
		p := plan(serve(t, func(http.ResponseWriter, *http.Request) {}))
		p.Duration, p.Count = duration, 0
		result, err := load.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if result.Elapsed < duration || result.Elapsed > duration+time.Second {
			t.Errorf("took %v, not about %v", result.Elapsed, duration)
		}
		if result.Requests < 3 {
			t.Errorf("%d requests on 3 connections", result.Requests)
		}
	})
}

// A server that never answers is not waited for after the context has ended.
func TestEndsWithTheContext(t *testing.T) {
	inBothModes(t, func(t *testing.T, plan func(string) load.Plan) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := load.Run(ctx, plan(raw(t, "HTTP/1.1 200 OK\r\n")))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, not the context's", err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A plan that says too little, or would take too long, is refused.
func TestRefusesBadPlans(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*load.Plan)
	}{
		{"Requests", func(p *load.Plan) { p.Requests = nil }},
		{"Connections", func(p *load.Plan) { p.Connections = 0 }},
		{"Duration", func(p *load.Plan) { p.Duration = time.Hour }},
		{"Duration", func(p *load.Plan) { p.Duration = -1 }},
		{"Count", func(p *load.Plan) { p.Count = 0 }},
		{"Count", func(p *load.Plan) { p.Count = -1 }},
	} {
		p := plan("127.0.0.1:1")
		tt.change(&p)
		if _, err := load.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, not one that names %s", err, tt.want)
		}
	}
}
