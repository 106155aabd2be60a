package web_test

import (
	"net/http"
	"strings"
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

// The same for an authorization request that a user has answered already: both are sent
// back to the app with a code.
func TestHeadOfAnAuthorizationRequest(t *testing.T) {
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := withCookie(page(), cookie)
		r.Method = method
		got := s.serve(r)
		if to := got.header.Get("Location"); got.status != http.StatusSeeOther || !strings.HasPrefix(to, "https://app.example/back?code=") {
			t.Errorf("%s: %d to %q\n%s", method, got.status, to, got.text)
		}
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", s.log)
	}
}
