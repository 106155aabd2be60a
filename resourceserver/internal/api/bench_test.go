package api_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// discard is a ResponseWriter that one benchmark uses again and again.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// The price of the whole handler, next to that of the same bytes from net/http
// alone. What a server adds around both is not in it.
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
