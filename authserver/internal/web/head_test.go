package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// RFC 9110 sections 9.1 and 9.3.2: every path with GET has HEAD, with the same headers.
func TestHead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{
		"/.well-known/oauth-authorization-server", "/jwks.json", "/status-lists", "/status-lists/0",
		"/authorize", "/logout", "/style.css", "/userinfo",
	} {
		request := func(method string) answer {
			return s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = method, path }))
		}
		get, head := request(http.MethodGet), request(http.MethodHead)
		if get.status == http.StatusMethodNotAllowed || head.status != get.status ||
			head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("%s: GET %d, HEAD %d %v", path, get.status, head.status, head.header)
		}
	}
	put := s.send(s.request("", func(r *http.Request) { r.Method, r.URL.Path = http.MethodPut, "/logout" }))
	if put.status != http.StatusMethodNotAllowed || put.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT /logout: got %d, Allow %q", put.status, put.header.Get("Allow"))
	}
}

// HEAD of an authorization request redirects to the app with a code, as GET does.
func TestHeadAuthorize(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := withCookie(authorizeRequest(), cookie)
		r.Method = method
		got := s.serve(r)
		to := got.header.Get("Location")
		if got.status != http.StatusSeeOther || !strings.HasPrefix(to, "https://app.example/back?code=") {
			t.Errorf("%s: got %d to %q\n%s", method, got.status, to, got.text)
		}
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", s.log)
	}
}
