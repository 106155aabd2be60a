package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// browserAccept is what browsers send when somebody opens an address.
const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// Who comes by a bookmark or a broken link reads what happened, on a page; a program gets
// a problem document. The status and the Allow are the same (RFC 9110 §15.5.6).
func TestPeopleAstrayReadAPage(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		method, path string
		status       int
		allow, says  string
	}{
		{"GET", "/login", http.StatusMethodNotAllowed, "POST", "does not open by itself"},
		{"GET", "/consent?client_id=spa", http.StatusMethodNotAllowed, "POST", "does not open by itself"},
		{"HEAD", "/login", http.StatusMethodNotAllowed, "POST", ""},
		{"POST", "/authorize", http.StatusMethodNotAllowed, "GET, HEAD", "does not open by itself"},
		{"GET", "/nowhere", http.StatusNotFound, "", "no such page"},
		{"GET", "//", http.StatusNotFound, "", "no such page"},
		{"GET", "/login/", http.StatusNotFound, "", "no such page"},
		{"POST", "/nowhere", http.StatusNotFound, "", "no such page"},
	} {
		for accept, page := range map[string]bool{
			browserAccept: true, "TEXT/HTML": true, "application/json, text/html;q=0.5": true,
			"": false, "*/*": false, "application/json": false, "text/plain": false, "image/avif,*/*": false, "text/html5": false,
		} {
			got := s.send(s.request("", func(r *http.Request) {
				r.Method = tt.method
				r.URL.Path, r.URL.RawQuery, _ = strings.Cut(tt.path, "?")
				if accept != "" {
					r.Header.Set("Accept", accept)
				}
			}))
			if got.status != tt.status || got.header.Get("Allow") != tt.allow || got.header.Get("Vary") != "Accept" {
				t.Errorf("%s %s by %q: %d %v", tt.method, tt.path, accept, got.status, got.header)
			}
			kind := problem.ContentType
			if page {
				kind = "text/html; charset=utf-8"
			}
			if got.header.Get("Content-Type") != kind || page && !strings.Contains(got.text, tt.says) {
				t.Errorf("%s %s by %q: %s with %q, want %s that says %q", tt.method, tt.path, accept, got.header.Get("Content-Type"), got.text, kind, tt.says)
			}
		}
	}
}

// Endpoints that are for programs answer browsers too like programs.
func TestEndpointsForProgramsHaveNoPages(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		got := s.send(s.request("", header("Accept", browserAccept), func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, path }))
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" || got.header.Get("Content-Type") != problem.ContentType {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}

// Who types the server's name reads what it is for.
func TestHome(t *testing.T) {
	s := newSite(t)
	got := s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, "/" }))
	if got.status != http.StatusOK || !strings.Contains(got.text, "apps send you to log in") {
		t.Errorf("%d %s", got.status, got.text)
	}
}
