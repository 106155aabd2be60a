package web_test

import (
	"net/http"
	"testing"
)

// RFC 9110 §9.1: HEAD is answered wherever GET is, and alike (§9.3.2).
func TestHeadIsAnsweredLikeGet(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/jwks.json", "/status-lists", "/status-lists/0", "/authorize", "/logout", "/style.css", "/userinfo"} {
		ask := func(method string) answer {
			return s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = method, path }))
		}
		get, head := ask(http.MethodGet), ask(http.MethodHead)
		if get.status == http.StatusMethodNotAllowed || head.status != get.status || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("%s: GET %d, HEAD %d %v", path, get.status, head.status, head.header)
		}
	}
	refused := s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = http.MethodPut, "/logout" }))
	if refused.status != http.StatusMethodNotAllowed || refused.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT /logout: %d, Allow %q", refused.status, refused.header.Get("Allow"))
	}
}
