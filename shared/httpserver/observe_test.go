package httpserver_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// The request log has the path, but neither query nor headers, which may hold secrets.
func TestRequestLog(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints) // precedes the response
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})})
	a := r.do(http.MethodPut, r.public+"/items/42?access_token=query-secret&password=hunter2", http.Header{
		"Authorization": {"Bearer header-secret"}, "Cookie": {"session=cookie-secret"}, "X-Request-Id": {"made-up"},
	})
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	requests := r.log.with(t, "request")
	if len(requests) != 1 {
		t.Fatalf("%d lines for one request:\n%s", len(requests), r.log)
	}
	want := line{
		"level": "INFO", "msg": "request", "method": "PUT", "path": "/items/42", "status": 418.0, "bytes": 15.0,
		"request_id": a.header.Get("X-Request-Id"),
	}
	ignored := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "time" || k == "took" || k == "from" })
	if diff := cmp.Diff(want, requests[0], ignored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if from, _ := requests[0]["from"].(string); !strings.HasPrefix(from, "127.0.0.1:") {
		t.Errorf("from %q", from)
	}
	for _, secret := range []string{"secret", "hunter2", "made-up", "access_token"} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, r.log)
		}
	}
}

// Routine requests are logged at level INFO only if they fail.
func TestRoutineRequests(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/other" {
			httpserver.SetRoutine(w)
		}
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusNotFound)
		}
	})})
	for _, path := range []string{"/routine", "/fails", "/other"} {
		r.do(http.MethodGet, r.public+path, nil)
	}
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	var logged []any
	for _, line := range r.log.with(t, "request") {
		logged = append(logged, line["path"])
	}
	if diff := cmp.Diff([]any{"/fails", "/other"}, logged); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// The request id is in the response and in the context of the request. It is unique, and
// clients cannot choose it.
func TestRequestID(t *testing.T) {
	seen := make(chan string, 2)
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- httpserver.RequestID(r.Context())
	})})
	var ids []string
	for range 2 {
		a := r.do(http.MethodGet, r.public, http.Header{"X-Request-Id": {"made-up"}})
		id := a.header.Get(httpserver.RequestIDHeader)
		if inside := <-seen; id == "" || id == "made-up" || id != inside {
			t.Errorf("the response has the id %q, the context %q", id, inside)
		}
		ids = append(ids, id)
	}
	if ids[0] == ids[1] {
		t.Errorf("two requests have the id %s", ids[0])
	}
	if a := r.get(r.public); a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("X-Content-Type-Options: %q", a.header.Get("X-Content-Type-Options"))
	}
	if id := httpserver.RequestID(t.Context()); id != "" {
		t.Errorf("outside of a request the id is %q", id)
	}
}

// A panic becomes a fixed response and one log line with the request id, the message and the
// stack, but no secret of the request.
func TestPanic(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Cache-Control", "public, max-age=600")
		switch r.URL.Path {
		case "/text":
			panic("text of the panic")
		case "/error":
			panic(fmt.Errorf("error of the panic: %w", io.ErrUnexpectedEOF))
		case "/runtime":
			_ = strings.Fields("")[len(r.URL.Path)]
		case "/request":
			panic(r)
		}
	})})
	for path, says := range map[string]string{
		"/text":    "text of the panic",
		"/error":   "error of the panic: unexpected EOF",
		"/runtime": "runtime error: index out of range [8] with length 0",
		"/request": "a value of type *http.Request",
	} {
		a := r.do(http.MethodGet, r.public+path+"?password=hunter2", http.Header{"Authorization": {"Bearer header-secret"}})
		if a.status != 500 || a.body != `{"title":"Internal Server Error","status":500,"detail":"Internal Server Error"}` {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
		if a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, a.header)
		}
		r.until("the panic is logged", func() bool { return len(panicsOf(r, a)) > 0 })
		got := panicsOf(r, a)
		if len(got) != 1 || got[0]["level"] != "ERROR" || got[0]["panic"] != says ||
			!strings.Contains(fmt.Sprint(got[0]["stack"]), "observe_test.go") {
			t.Errorf("%s: logged %v", path, got)
		}
	}
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	for _, l := range r.log.with(t, "request") {
		if l["status"] != 500.0 || l["level"] != "ERROR" {
			t.Errorf("the request is logged as %v", l)
		}
	}
	for _, secret := range []string{"header-secret", "hunter2"} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// panicsOf returns the lines about panics in the request with this response.
func panicsOf(r *running, a response) []line {
	var found []line
	for _, l := range r.log.with(r.t, "panic in handler") {
		if l["request_id"] == a.header.Get(httpserver.RequestIDHeader) {
			found = append(found, l)
		}
	}
	return found
}

// When a response has begun, a panic must not look like its end.
func TestPanicAfterTheResponseBegan(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `[{"id":1},`)
		if r.URL.Path == "/flushed" {
			_ = http.NewResponseController(w).Flush()
		}
		panic("no more items")
	})})
	for _, path := range []string{"/begun", "/flushed", "/abort"} {
		if a, err := r.try(http.MethodGet, r.public+path, nil); err == nil {
			t.Errorf("%s: the client got %d %q without an error", path, a.status, a.body)
		}
	}
	r.until("nothing is in flight", func() bool {
		return strings.Contains(r.get(r.admin+"/metrics").body, "\nhttp_requests_in_flight 0\n")
	})
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	if n := len(r.log.with(t, "panic in handler")); n != 2 {
		t.Errorf("%d panics are logged, want 2: ErrAbortHandler is not logged", n)
	}
	if n := len(r.log.with(t, "request")); n != 3 {
		t.Errorf("%d requests are logged, want 3", n)
	}
}

func TestMetrics(t *testing.T) {
	release := make(chan struct{})
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/items/"):
			httpserver.SetRoute(w, "/items/{item_id}")
			if r.URL.Path == "/items/abc" {
				w.WriteHeader(http.StatusUnprocessableEntity)
			}
		case r.URL.Path == "/slow":
			<-release
		default:
			http.NotFound(w, r)
		}
	})})
	for _, path := range []string{"/items/1", "/items/2", "/items/abc", "/x1", "/x2", "/x3"} {
		r.get(r.public + path)
	}
	r.do("BREW", r.public+"/items/1", nil)
	r.do("X-"+strings.Repeat("Y", 30), r.public+"/items/1", nil)
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		_, _ = r.try(http.MethodGet, r.public+"/slow", nil)
	}()
	shown := func(sample string) func() bool {
		return func() bool { return strings.Contains(r.get(r.admin+"/metrics").body, "\n"+sample+"\n") }
	}
	for _, sample := range []string{
		`http_request_duration_seconds_count{method="GET",route="/items/{item_id}",status="200"} 2`,
		`http_request_duration_seconds_count{method="GET",route="/items/{item_id}",status="422"} 1`,
		`http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 3`,
		`http_request_duration_seconds_count{method="other",route="/items/{item_id}",status="200"} 2`,
		`http_requests_in_flight 1`,
		`hallpass_build_info{version="v1.2.3"} 1`,
	} {
		r.until(sample, shown(sample))
	}
	close(release)
	<-slow
	r.until("nothing in flight", shown("http_requests_in_flight 0"))
	metrics := r.get(r.admin + "/metrics").body
	for _, bad := range []string{"BREW", "YYY", "/x1", "/items/1"} {
		if strings.Contains(metrics, bad) {
			t.Errorf("a client can create series: %s", bad)
		}
	}
	if !strings.Contains(metrics, "go_goroutines ") || !strings.Contains(metrics, "process_cpu_seconds_total ") {
		t.Error("the metrics of the runtime or of the process are missing")
	}
}

// The log has the address of the client behind a trusted proxy (RFC 9700 section 4.13).
func TestRequestLogBehindAProxy(t *testing.T) {
	for proxies, want := range map[string]string{"127.0.0.0/8": "203.0.113.9", "10.0.0.0/8": "127.0.0.1:"} {
		r := start(t, httpserver.Server{Handler: hello, Settings: httpserver.Settings{TrustedProxies: []string{proxies}}})
		r.do(http.MethodGet, r.public, http.Header{"X-Forwarded-For": {"203.0.113.9"}})
		if err := r.stop(httpserver.ErrStopNow); err != nil {
			t.Fatal(err)
		}
		if from := fmt.Sprint(r.log.with(t, "request")[0]["from"]); !strings.HasPrefix(from, want) {
			t.Errorf("trusted proxies %s: from %s, want %s", proxies, from, want)
		}
	}
}

// http.ResponseController reaches the connection.
func TestResponseControllerReachesTheConnection(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buffered.WriteString("raw\n")
		_ = buffered.Flush()
		_ = connection.Close()
	})})
	c, err := net.Dial("tcp", strings.TrimPrefix(r.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(bufio.NewReader(c))
	if err != nil || string(all) != "raw\n" {
		t.Errorf("got %q (%v)", all, err)
	}
}

// Handlers may assert http.Flusher, and io.Copy finds io.ReaderFrom.
func TestWriterKeepsItsInterfaces(t *testing.T) {
	flushed := make(chan struct{})
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("begin "))
		w.(http.Flusher).Flush()
		<-flushed
		_, _ = io.WriteString(w, "end")
	})})
	resp, err := http.Get(r.public)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, len("begin "))); err != nil {
		t.Fatal(err)
	}
	close(flushed)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "end" {
		t.Errorf("after the flush: %q (%v)", rest, err)
	}
	if err := r.stop(httpserver.ErrStopNow); err != nil {
		t.Fatal(err)
	}
	if l := r.log.with(t, "request")[0]; l["status"] != 200.0 || l["bytes"] != 9.0 {
		t.Errorf("logged: %v", l)
	}
}

// wrapper is a middleware's writer.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A body over the limit is an error, and closes the connection as http.MaxBytesReader does
// for a handler without middleware.
func TestLimitBody(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.LimitBody(wrapper{w}, r, 4)
		_, err := io.ReadAll(r.Body)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	for name, address := range map[string]string{
		"with httpserver": start(t, httpserver.Server{Handler: handler}).public,
		"plain net/http":  plainServer(t, handler),
	} {
		for body, want := range map[string]int{"1234": 200, "12345": 413} {
			resp, err := http.Post(address, "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want || resp.Close != (want == 413) {
				t.Errorf("%s: %d bytes: status %d, connection closed: %v", name, len(body), resp.StatusCode, resp.Close)
			}
		}
	}
}

func plainServer(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Functions that take a writer find the recorder inside a wrapper, and accept a foreign one.
func TestWriterInsideAWrapper(t *testing.T) {
	r := start(t, httpserver.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		httpserver.SetRoute(wrapper{w}, "/template")
	})})
	r.get(r.public)
	const sample = `http_request_duration_seconds_count{method="GET",route="/template",status="200"} 1`
	if got := r.get(r.admin + "/metrics").body; !strings.Contains(got, "\n"+sample+"\n") {
		t.Errorf("the metrics lack %s", sample)
	}
	httpserver.SetRoute(httptest.NewRecorder(), "/")
	httpserver.SetRoutine(httptest.NewRecorder())
}
