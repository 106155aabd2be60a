package outbound_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// fixture is a guard and a document server on loopback, which is the guard's exception.
type fixture struct {
	t     *testing.T
	guard *outbound.Guard
	url   string
	hits  atomic.Int64
	log   bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) wait(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// start starts a document server. change may change the guard.
func start(t *testing.T, serve http.HandlerFunc, change ...func(*outbound.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.hits.Add(1)
		serve(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	exception, err := outbound.ParseException(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := outbound.Config{
		Exception: exception, Timeout: time.Hour, Now: f.clock, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	f.guard = outbound.New(cfg)
	return f
}

// get fetches a client metadata document, which must not fail.
func (f *fixture) get(path string) outbound.Document {
	f.t.Helper()
	got, err := f.guard.Get(f.t.Context(), outbound.ClientMetadata, f.url+path)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

// expectError checks the error of a request, which is also in the log.
func (f *fixture) expectError(what, url, says string) {
	f.t.Helper()
	_, err := f.guard.Get(f.t.Context(), outbound.ClientMetadata, url)
	if err == nil || !strings.Contains(err.Error(), says) {
		f.t.Errorf("%s: got error %v, want one that says %q", what, err, says)
		return
	}
	if !strings.Contains(f.log.String(), "event=outbound_request_failed") {
		f.t.Errorf("%s: the log does not have the failure:\n%s", what, f.log.String())
	}
}

func writeJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func TestGet(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Cookie", "Authorization", "Referer", "Accept-Encoding"} {
			if value := r.Header.Get(name); value != "" {
				t.Errorf("the request has %s: %s", name, value)
			}
		}
		if r.Header.Get("User-Agent") != "Hallpass" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("headers: %v", r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"}) // must not come back
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
	})
	for _, path := range []string{"/a", "/b"} {
		if got := f.get(path); string(got.Body) != `{"path":"`+path+`"}` || !got.FetchedAt.Equal(f.clock()) {
			t.Errorf("got %q of %v", got.Body, got.FetchedAt)
		}
	}
}

// The environment's proxy gets no request: it might be able to reach what the guard must not.
func TestNoProxy(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	f := start(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, "{}") })
	f.get("/")
}

func TestResponsesRefused(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	huge := func(w http.ResponseWriter) {
		chunk := bytes.Repeat([]byte(" "), 32<<10)
		for range (1 << 30) / len(chunk) {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		serve func(w http.ResponseWriter, r *http.Request)
		says  string
	}{
		"1 GB with a length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1073741824")
			huge(w)
		}, "larger than 5120 bytes"},
		"1 GB in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			huge(w)
		}, "larger than 5120 bytes"},
		"one byte too many": {func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, strings.Repeat("x", 5121))
		}, "larger than 5120 bytes"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "302 Found: redirects are not followed"},
		"redirect to the metadata of a cloud": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusMovedPermanently)
		}, "301 Moved Permanently: redirects are not followed"},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(bomb.Bytes())
		}, `Content-Encoding is "gzip"`},
		"wrong content type": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "{}")
		}, `Content-Type is "text/html", and must be application/json`},
		"no content type": {func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil }, `Content-Type is ""`},
		"not found":       {http.NotFound, "404 Not Found"},
		"no content":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "204 No Content"},
		"large header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Padding", strings.Repeat("x", 64<<10))
			writeJSON(w, "{}")
		}, "header"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			writeJSON(w, "{")
		}, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, tt.serve)
			f.expectError(name, f.url+"/document", tt.says)
			if n := f.hits.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
	t.Cleanup(func() {
		if n := sent.Load(); n > 64<<20 { // what the buffers of the network may hold
			t.Errorf("%d bytes of 1 GB were read", n)
		}
	})
}

// A response that does not come, or comes slowly, takes no longer than the timeout.
func TestSlowResponses(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]http.HandlerFunc{
		"no header": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, serve, func(cfg *outbound.Config) { cfg.Timeout = 50 * time.Millisecond })
			f.expectError(name, f.url, "no complete response within 50ms")
		})
	}
}

// resolver answers the lookups of one name in turn.
type resolver struct {
	mu      sync.Mutex
	answers [][]string
	asked   []string
}

func (r *resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, host)
	answer := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	if answer == nil {
		return nil, &net.DNSError{IsNotFound: true, Name: host}
	}
	var found []netip.Addr
	for _, text := range answer {
		found = append(found, netip.MustParseAddr(text))
	}
	return found, nil
}

// names returns a guard whose resolver gives these answers. It counts the connections that it
// makes to addresses, which all lead to one TLS server.
func names(t *testing.T, answers ...[]string) (f *fixture, dialled *[]string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" {
			t.Errorf("Host: %s", r.Host)
		}
		writeJSON(w, `{"host":"example.com"}`)
	}))
	t.Cleanup(server.Close)
	f = start(t, func(http.ResponseWriter, *http.Request) { t.Error("the exception got a request") },
		func(cfg *outbound.Config) { cfg.Resolver = &resolver{answers: answers} })
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // for example.com
	var made []string
	outbound.SetDial(f.guard, outbound.ClientMetadata, roots,
		func(ctx context.Context, network, address string) (net.Conn, error) {
			made = append(made, address)
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		})
	return f, &made
}

// A name is resolved once, and the connection is made to the address that was checked.
func TestNames(t *testing.T) {
	t.Parallel()
	f, dialled := names(t, []string{"93.184.216.34", "2606:2800:220:1::1"}, []string{"127.0.0.1"})
	got, err := f.guard.Get(t.Context(), outbound.ClientMetadata, "https://example.com/client")
	if err != nil || string(got.Body) != `{"host":"example.com"}` {
		t.Fatalf("got %q, %v", got.Body, err)
	}
	if len(*dialled) != 1 || (*dialled)[0] != "93.184.216.34:443" {
		t.Errorf("connected to %v", *dialled)
	}
	// The name now has another address (DNS rebinding).
	f.expectError("rebinding", "https://example.com/another", "127.0.0.1 is not a public address (loopback")
	if len(*dialled) != 1 {
		t.Errorf("connected to %v", *dialled)
	}
}

// One address that is not public refuses the name.
func TestNamesRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer []string
		says   string
	}{
		"loopback":          {[]string{"127.0.0.1"}, "loopback, RFC 1122"},
		"cloud metadata":    {[]string{"169.254.169.254"}, "link-local"},
		"IPv4-mapped":       {[]string{"::ffff:127.0.0.1"}, "127.0.0.1 is not a public address"},
		"mapped metadata":   {[]string{"::ffff:169.254.169.254"}, "link-local"},
		"public and not":    {[]string{"93.184.216.34", "10.0.0.1"}, "10.0.0.1 is not a public address (private"},
		"IPv6 loopback":     {[]string{"::1"}, "loopback"},
		"NAT64 of loopback": {[]string{"64:ff9b::7f00:1"}, "NAT64"},
		"with a zone":       {[]string{"fe80::1%eth0"}, "not an address of the Internet"},
		"no address":        {[]string{}, "has no address"},
		"no such name":      {nil, "does not exist in the DNS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, dialled := names(t, tt.answer)
			f.expectError(name, "https://example.com/client", tt.says)
			if len(*dialled) != 0 {
				t.Errorf("connected to %v", *dialled)
			}
		})
	}
}

// The check at the socket does not depend on those before it.
func TestDialChecksTheSocket(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		conn, err := outbound.DialPublic(t.Context(), "tcp", fmt.Sprintf("%s:%d", host, port))
		if !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: got %v, %v, want ErrRefused", host, conn, err)
		}
	}
}

// A certificate that is not trusted refuses the document, also at the exception.
func TestCertificateIsVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, "{}") }))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f := start(t, nil, func(cfg *outbound.Config) {
		cfg.Exception = netip.MustParseAddrPort(server.Listener.Addr().String())
	})
	f.expectError("unknown authority", server.URL, "certificate")
}

func TestPost(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "text/x" || string(body) != "a=b" {
			t.Errorf("got %s %v %s", r.Method, r.Header, body)
		}
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	kind := &outbound.Kind{Name: "logout"}
	for range 2 { // not cached
		if err := f.guard.Post(t.Context(), kind, f.url+"/good", "text/x", []byte("a=b")); err != nil {
			t.Error(err)
		}
	}
	err := f.guard.Post(t.Context(), kind, f.url+"/bad", "text/x", []byte("a=b"))
	if err == nil || !strings.Contains(err.Error(), "400 Bad Request") {
		t.Errorf("got error %v", err)
	}
	if err := f.guard.Post(t.Context(), kind, "https://10.0.0.1/", "text/x", nil); !errors.Is(err, outbound.ErrRefused) {
		t.Errorf("got error %v", err)
	}
	if n := f.hits.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// A notification has succeeded once the status says so, whatever the body: it may be large, compressed or endless.
func TestPostDoesNotReadTheResponse(t *testing.T) {
	t.Parallel()
	f := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusOK)
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil || r.Context().Err() != nil {
				return
			}
		}
	})
	if err := f.guard.Post(t.Context(), &outbound.Kind{Name: "logout"}, f.url, "text/x", []byte("a=b")); err != nil {
		t.Error(err)
	}
}
