package api_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// discard is a ResponseWriter that can be used for many requests.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// The cost of the handler, compared to a bare handler with the same response. The cost of net/http's
// server is not included.
func BenchmarkRequest(b *testing.B) {
	issuer := bearertest.New(b)
	handler := newHandler(b, issuer, nil)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"username":"john.doe","full_name":"John Doe"}`))
	})
	for _, bm := range []struct {
		name    string
		handler http.Handler
		path    string
	}{
		{"bare", bare, "/users/me"},
		{"users", handler, "/users/me"},
		{"items", handler, "/items/42"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := &http.Request{
				Method: http.MethodGet,
				URL:    &url.URL{Path: bm.path},
				Header: http.Header{"Authorization": {"Bearer " + issuer.Token("profile", "items:read")}, "Accept": {"*/*"}},
			}
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				bm.handler.ServeHTTP(w, r)
			}
			if w.bytes == 0 || w.status >= 400 {
				b.Fatalf("status %d with %d bytes", w.status, w.bytes)
			}
		})
	}
}
