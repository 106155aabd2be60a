package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// browserAccept is the Accept header that browsers send for a page.
const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// Browsers get an error page, other clients a problem document, both with the same status
// and Allow header (RFC 9110 section 15.5.6).
func TestErrorPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow, says  string
	}{
		{"GET", "/login", http.StatusMethodNotAllowed, "POST", "cannot be opened directly"},
		{"GET", "/consent?client_id=spa", http.StatusMethodNotAllowed, "POST", "cannot be opened directly"},
		{"HEAD", "/login", http.StatusMethodNotAllowed, "POST", ""},
		{"PUT", "/authorize", http.StatusMethodNotAllowed, "GET, HEAD, POST", "cannot be opened directly"},
		{"GET", "/nowhere", http.StatusNotFound, "", "Page not found"},
		{"GET", "//", http.StatusNotFound, "", "Page not found"},
		{"GET", "/login/", http.StatusNotFound, "", "Page not found"},
		{"POST", "/nowhere", http.StatusNotFound, "", "Page not found"},
	} {
		for accept, page := range map[string]bool{
			browserAccept: true, "TEXT/HTML": true, "application/json, text/html;q=0.5": true,
			"": false, "*/*": false, "application/json": false, "text/plain": false, "image/avif,*/*": false,
			"text/html5": false,
		} {
			got := s.send(s.request("", func(r *http.Request) {
				r.Method = tt.method
				r.URL.Path, r.URL.RawQuery, _ = strings.Cut(tt.path, "?")
				if accept != "" {
					r.Header.Set("Accept", accept)
				}
			}))
			if got.status != tt.status || got.header.Get("Allow") != tt.allow || got.header.Get("Vary") != "Accept" {
				t.Errorf("%s %s with Accept %q: got %d %v, want %d with Allow %q",
					tt.method, tt.path, accept, got.status, got.header, tt.status, tt.allow)
			}
			contentType := problem.ContentType
			if page {
				contentType = "text/html; charset=utf-8"
			}
			if got.header.Get("Content-Type") != contentType || page && !strings.Contains(got.text, tt.says) {
				t.Errorf("%s %s with Accept %q: got %s %q, want %s with %q",
					tt.method, tt.path, accept, got.header.Get("Content-Type"), got.text, contentType, tt.says)
			}
		}
	}
}

// OAuth endpoints send a problem document to browsers too.
func TestOAuthEndpointsHaveNoPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		got := s.send(s.request("", header("Accept", browserAccept), func(r *http.Request) {
			r.Method, r.URL.Path = http.MethodGet, path
		}))
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" ||
			got.header.Get("Content-Type") != problem.ContentType {
			t.Errorf("GET %s: got %d %v, want a 405 problem document with Allow: POST", path, got.status, got.header)
		}
	}
}

func TestLandingPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, "/" }))
	if got.status != http.StatusOK || !strings.Contains(got.text, "Apps send you here to log in") {
		t.Errorf("GET /: got %d %s", got.status, got.text)
	}
}
