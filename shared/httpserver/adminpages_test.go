package httpserver_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// Further pages of the admin listener are served once the server is prepared, by GET, and not in public.
func TestAdminPages(t *testing.T) {
	prepared := make(chan struct{})
	r := start(t, httpserver.Server{
		Prepare: func(ctx context.Context) (http.Handler, error) {
			select {
			case <-prepared:
			case <-ctx.Done():
			}
			return http.NotFoundHandler(), nil
		},
		AdminPages: map[string]http.Handler{
			"/page": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") }),
		},
	})
	if a := raw(t, r.admin, "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"); a.status != http.StatusServiceUnavailable {
		t.Errorf("before the server is prepared: %d", a.status)
	}
	close(prepared)
	r.until("the server is ready", func() bool { return r.get(r.admin+"/readyz").status == http.StatusOK })
	for text, want := range map[string]int{
		"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n":                       http.StatusOK,
		"POST /page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n": http.StatusMethodNotAllowed,
		"GET /page HTTP/1.1\r\nHost: evil.example\r\n\r\n":                    http.StatusMisdirectedRequest,
	} {
		if a := raw(t, r.admin, text); a.status != want {
			t.Errorf("%q: %d, want %d", text, a.status, want)
		}
	}
	if a := raw(t, r.public, "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"); a.status != http.StatusNotFound {
		t.Errorf("in public: %d", a.status)
	}
}
