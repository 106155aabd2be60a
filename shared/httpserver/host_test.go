package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// raw sends text on a connection of its own to the server at url, and returns the first
// response.
func raw(t *testing.T, url, text string) response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// A page whose name resolves to the admin address (DNS rebinding) cannot read from it.
func TestAdminHosts(t *testing.T) {
	r := start(t, httpserver.Server{
		Handler: hello, Settings: httpserver.Settings{AdminHosts: []string{"Metrics.internal", "authserver"}},
	})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:9001": 200, "localhost.:9001": 200, "a.localhost": 200,
		"127.0.0.1": 200, "127.0.0.1:9001": 200, "192.0.2.1:80": 200, "[::1]": 200, "[::1]:9001": 200,
		"metrics.internal:9001": 200, "METRICS.INTERNAL.": 200, "authserver": 200,
		"evil.example": 421, "evil.example:9001": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421,
		"evillocalhost": 421, "sub.authserver": 421, "127.1": 421, "2130706433": 421, "0x7f.1": 421, ".localhost.x": 421,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/readyz", "/"} {
			want := want
			if path == "/" && want == 200 {
				want = 404
			}
			text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host)
			if a := raw(t, r.admin, text); a.status != want {
				t.Errorf("%s with Host %s: %d, want %d", path, host, a.status, want)
			}
		}
	}
	for text, want := range map[string]int{
		"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n": 421, // RFC 9112 section 3.2.2
		"GET http://localhost/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n": 200, // the target counts
		"GET /metrics HTTP/1.0\r\n\r\n":                                       200,
		"GET /metrics HTTP/1.1\r\n\r\n":                                       400,
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n":      400,
	} {
		if a := raw(t, r.admin, text); a.status != want {
			t.Errorf("%q: %d, want %d", text, a.status, want)
		}
	}
}

// Profiles are served only if set, and never the command line, which may hold a secret.
func TestPprof(t *testing.T) {
	paths := map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/goroutine": 200, "/debug/pprof/heap": 200, "/debug/pprof/symbol": 200,
		"/debug/pprof/trace?seconds=0.01": 200, "/debug/pprof/profile?seconds=1": 200, "/debug/pprof/cmdline": 404,
	}
	for _, on := range []bool{true, false} {
		r := start(t, httpserver.Server{Handler: hello, Settings: httpserver.Settings{Pprof: on}})
		for path, want := range paths {
			if !on {
				want = 404
			}
			if a := r.get(r.admin + path); a.status != want {
				t.Errorf("pprof %v, %s: %d, want %d", on, path, a.status, want)
			}
		}
	}
}

// Every response of a server with an https URL tells browsers to use https only (RFC 6797).
func TestStrictTransportSecurity(t *testing.T) {
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("broken")
		}
	})
	for url, want := range map[string]string{
		"https://login.example": "max-age=31536000",
		"http://127.0.0.1:9000": "",
		"urn:example:api":       "",
		"":                      "",
	} {
		r := start(t, httpserver.Server{Handler: handler, PublicURL: url})
		for _, path := range []string{"/", "/panic"} {
			if got := r.get(r.public + path).header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("%s%s: %q, want %q", url, path, got, want)
			}
		}
	}
}
