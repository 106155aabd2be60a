package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// logged returns what a logger of the format writes of the line: by itself, and left
// to slog.
func logged(l requestLine, format string) (own, slogs string) {
	ctx := &requestContext{Context: context.Background(), id: [1]string{l.id}}
	write := func(log func(*Logger)) string {
		var out bytes.Buffer
		logger := NewLogger(&out, Settings{LogFormat: format})
		log(logger)
		logger.Close()
		return out.String()
	}
	return write(func(logger *Logger) { l.log(ctx, logger.Logger) }),
		write(func(logger *Logger) { l.leaveToSlog(ctx, logger.Logger) })
}

// A request line has the bytes that slog would give it, whatever is in it.
func FuzzRequestLine(f *testing.F) {
	f.Add("GET", "/users/me", 200, int64(46), int64(123456), int64(1790000000000000000), "127.0.0.1:34567", "a1b2c3-1")
	f.Add("POST", "/token", 500, int64(0), int64(0), int64(1790000000120000000), "[::1]:1", "a1b2c3-zz")
	f.Add("GET", "/a b=c\"\\<&>\n\x00é\xff", 404, int64(1<<40), int64(-1), int64(999), "", "")
	f.Add("", "*", -1, int64(-1), int64(1<<62), int64(-1), "a=b", "é")
	f.Fuzz(func(t *testing.T, method, path string, status int, size, took, at int64, from, id string) {
		l := requestLine{
			time: time.Unix(0, at).UTC(), level: slog.LevelInfo,
			method: method, path: path, status: status, bytes: size, took: time.Duration(took), from: from, id: id,
		}
		for _, format := range []string{"text", "json"} {
			own, slogs := logged(l, format)
			if diff := cmp.Diff(slogs, own); diff != "" {
				t.Errorf("%s (-slog +own):\n%s", format, diff)
			}
			if n := strings.Count(own, "\n"); n != 1 {
				t.Errorf("%s: %d lines: %q", format, n, own)
			}
		}
	})
}

// answered is the line of a request.
func answered(level slog.Level, id string) requestLine {
	return requestLine{
		time: time.Now(), level: level, method: "GET", path: "/users/me",
		status: 200, bytes: 46, took: 123456, from: "127.0.0.1:34567", id: id,
	}
}

// A line that needs no quotes does not go through slog: that is what it is for.
func TestRequestLineIsCheap(t *testing.T) {
	logger := NewLogger(io.Discard, Settings{})
	defer logger.Close()
	l := answered(slog.LevelInfo, "a1b2c3-1")
	for range 4 * maxLogBatch / 100 { // until the batch has its memory
		l.log(t.Context(), logger.Logger)
	}
	if n := testing.AllocsPerRun(1000, func() { l.log(t.Context(), logger.Logger) }); n > 1 {
		t.Errorf("a request line costs %v allocations, not one at the most", n)
	}
}

// What a logger was made to add to every line is in the request lines too.
func TestRequestLineOfDerivedLogger(t *testing.T) {
	var out bytes.Buffer
	logger := NewLogger(&out, Settings{})
	l := answered(slog.LevelInfo, "a-1")
	l.log(t.Context(), logger.With("tenant", "one"))
	logger.Close()
	if !strings.Contains(out.String(), "tenant=one") {
		t.Errorf("the attribute is missing: %q", out.String())
	}
}

// A log that is not ours gets every line at once, with the context of the request.
func TestRequestLineOfAnotherLogger(t *testing.T) {
	var got []string
	ctx := &requestContext{Context: t.Context(), id: [1]string{"a-1"}}
	log := slog.New(handles(func(ctx context.Context, r slog.Record) { got = append(got, r.Message+" "+RequestID(ctx)) }))
	for i := range 3 {
		l := answered(slog.LevelInfo, "a-1")
		l.log(ctx, log)
		if len(got) != i+1 || got[i] != "request a-1" {
			t.Fatalf("logged: %q", got)
		}
	}
}

// handles is a log of somebody else.
type handles func(context.Context, slog.Record)

func (handles) Enabled(context.Context, slog.Level) bool { return true }

func (h handles) Handle(ctx context.Context, r slog.Record) error {
	h(ctx, r)
	return nil
}

func (h handles) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h handles) WithGroup(string) slog.Handler      { return h }

// names returns what stands for each line of a log: its id or, without one, its message.
func names(text string) (found []string) {
	for line := range strings.Lines(text) {
		_, name, ok := strings.Cut(line, "request_id=")
		if !ok {
			_, name, _ = strings.Cut(line, "msg=")
		}
		found = append(found, strings.TrimSpace(name))
	}
	return found
}

// shared is a buffer for several goroutines.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *shared) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *shared) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return names(b.text.String())
}

// A line waits for 100 milliseconds at the most, and each that comes later likewise. An
// idle log does not wake up.
func TestRequestLinesAreWrittenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		logger := NewLogger(&out, Settings{})
		for i := range 3 {
			l := answered(slog.LevelInfo, "a-1")
			l.log(t.Context(), logger.Logger)
			if synctest.Wait(); len(out.names()) != i {
				t.Fatalf("a line did not wait: the log has %q", out.names())
			}
			time.Sleep(logFlushInterval)
			if synctest.Wait(); len(out.names()) != i+1 || logger.out.waiting {
				t.Fatalf("after 100 ms the log has %q; a timer runs: %t", out.names(), logger.out.waiting)
			}
			time.Sleep(time.Duration(i) * logFlushInterval / 2)
		}
		logger.Close()
	})
}

// Lines stand in the order in which they were logged, whichever way they take.
func TestRequestLinesKeepTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		logger := NewLogger(&out, Settings{})
		var want []string
		request := func(level slog.Level, path string) {
			l := answered(level, fmt.Sprint("a-", len(want)))
			l.path = path
			l.log(&requestContext{Context: t.Context(), id: [1]string{l.id}}, logger.Logger)
			want = append(want, l.id)
		}
		for range 3*maxUnmade + 1 {
			request(slog.LevelInfo, "/")
		}
		logger.Info("between")
		want = append(want, "between")
		request(slog.LevelInfo, "/")
		request(slog.LevelInfo, "/needs quotes")
		request(slog.LevelInfo, "/")
		logger.With("tenant", 1).Info("derived")
		want = append(want, "derived tenant=1")
		request(slog.LevelInfo, "/")
		request(slog.LevelError, "/")
		if diff := cmp.Diff(want, out.names()); diff != "" {
			t.Errorf("an error waited, or the order is not kept (-want +got):\n%s", diff)
		}
		request(slog.LevelInfo, "/")
		logger.Close()
		request(slog.LevelInfo, "/")
		if diff := cmp.Diff(want, out.names()); diff != "" {
			t.Errorf("after the end of the log (-want +got):\n%s", diff)
		}
	})
}

// What waits is bounded, and nothing is kept of a request whose line is made.
func TestRequestLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := NewLogger(io.Discard, Settings{})
		defer logger.Close()
		for i := range 3 * maxUnmade {
			if want := i % maxUnmade; len(logger.out.unmade) != want {
				t.Fatalf("after %d requests %d wait, not %d", i, len(logger.out.unmade), want)
			}
			l := answered(slog.LevelInfo, "a-1")
			l.log(t.Context(), logger.Logger)
		}
		for _, l := range logger.out.unmade[:maxUnmade] {
			if l != (requestLine{}) {
				t.Fatalf("%+v is kept", l)
			}
		}
	})
}

// A client that sends long paths does not fill the memory with them.
func TestLongRequestLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := NewLogger(io.Discard, Settings{})
		defer logger.Close()
		for length := 1; length <= 1<<20; length *= 2 {
			for range 2 * maxUnmade {
				l := answered(slog.LevelInfo, "a-1")
				l.path = strings.Repeat("/", length)
				l.log(t.Context(), logger.Logger)
				if n := len(logger.out.batch); n > maxLogBatch {
					t.Fatalf("%d bytes wait", n)
				}
				if length > maxPlain && len(logger.out.unmade) > 0 {
					t.Fatalf("a path of %d bytes waits", length)
				}
			}
		}
	})
}

// A line that waits keeps no memory of a long request: neither of a query, which is in one
// piece with method and path, nor of a proxy's header.
func TestLongRequestsAreNotKept(t *testing.T) {
	const long = 30_000
	raw := "GET /a?" + strings.Repeat("q", long) + " HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7," + strings.Repeat(" ", long) + "192.0.2.8\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "10.0.0.1:9"
	header := r.Header.Get("X-Forwarded-For")
	logger := NewLogger(io.Discard, Settings{})
	defer logger.Close()
	o := newObserver(http.NotFoundHandler(), logger.Logger, prometheus.NewRegistry(), new(atomic.Bool))
	proxies, err := parseProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	forwarded(proxies, o).ServeHTTP(httptest.NewRecorder(), r)
	if len(logger.out.unmade) != 1 {
		t.Fatalf("%d lines wait, not one", len(logger.out.unmade))
	}
	l := logger.out.unmade[0]
	for name, part := range map[string]struct{ text, want, of string }{
		"method": {l.method, "GET", r.Method},
		"path":   {l.path, "/a", r.URL.Path},
		"from":   {l.from, "192.0.2.8", header[strings.Index(header, "192.0.2.8"):]},
	} {
		if part.text != part.want || unsafe.StringData(part.text) == unsafe.StringData(part.of) {
			t.Errorf("%s: %q, in the memory of the request", name, part.text)
		}
	}
}

// However many requests are answered at once, each is logged once.
func TestRequestLinesConcurrently(t *testing.T) {
	var out shared
	logger := NewLogger(&out, Settings{})
	const workers, each = 16, 500
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				l := answered(slog.LevelInfo, fmt.Sprint("a-", worker, "-", i))
				l.log(t.Context(), logger.Logger)
				if i%100 == 0 {
					logger.Info("between")
				}
			}
		})
	}
	all.Wait()
	logger.Close()
	seen := map[string]int{}
	for _, name := range out.names() {
		seen[name]++
	}
	if seen["between"] != workers*each/100 || len(seen) != workers*each+1 {
		t.Errorf("%d requests and %d other lines are logged", len(seen)-1, seen["between"])
	}
	delete(seen, "between")
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s is logged %d times", id, times)
		}
	}
}
