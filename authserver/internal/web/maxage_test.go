package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// OpenID Connect Core section 3.1.2.1: the login behind a code is no older than max_age, or than a minute if that is
// longer, however long the consent page was open. No max_age makes the user log in again and again.
func TestMaxAgeAfterLogin(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	s.addRedirecting("asks", "", false, "https://app.example/cb")
	request := func(pushed bool, maxAge string) url.Values {
		if pushed {
			return s.pushed("max_age", maxAge, "prompt", "consent")
		}
		return codeRequest("client_id", "asks", "redirect_uri", "https://app.example/cb", "max_age", maxAge,
			"prompt", "consent")
	}
	// complete logs in, waits at the consent page, if there is one, and allows the request.
	complete := func(query url.Values, pause time.Duration) (got answer, cookie string) {
		t.Helper()
		got, cookie = s.logIn(query)
		got = s.follow(got, cookie)
		if !strings.Contains(got.text, `name="decision"`) {
			return got, cookie
		}
		s.wait(pause)
		got = s.serve(withCookie(pageForm("/consent", url.Values{
			"continue": {continued(got.text)}, "user": {s.userID(john)}, "decision": {"allow"},
		}), cookie))
		if strings.HasPrefix(got.header.Get("Location"), "/authorize?") {
			got = s.follow(got, cookie)
		}
		return got, cookie
	}
	for _, tt := range []struct {
		maxAge  string
		allowed time.Duration
	}{
		{"0", time.Minute}, {"1", time.Minute}, {"59", time.Minute}, {"60", time.Minute}, {"61", 61 * time.Second},
		{"00600", 10 * time.Minute},
	} {
		for _, pushed := range []bool{false, true} {
			name := "max_age=" + tt.maxAge
			if pushed {
				name += ", pushed"
			}
			got, _ := complete(request(pushed, tt.maxAge), tt.allowed-time.Second)
			if got.status != http.StatusSeeOther || s.response(name, got).Get("code") == "" {
				t.Errorf("%s, in time: %d to %s", name, got.status, got.header.Get("Location"))
			}
			got, _ = complete(request(pushed, tt.maxAge), tt.allowed+2*time.Second)
			s.expectLogin(name+", too late", got)
			query, err := url.ParseQuery(continued(got.text))
			s.must(err)
			got, _ = complete(query, time.Second)
			if got.status != http.StatusSeeOther || s.response(name, got).Get("code") == "" {
				t.Errorf("%s, the second login: %d to %s", name, got.status, got.header.Get("Location"))
			}
		}
	}
}

// A session that is too old for a request cannot allow it: what it says on the consent page is not remembered.
func TestConsentInOldSession(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	s.addRedirecting("asks", "", false, "https://app.example/cb")
	request := func(changes ...string) url.Values {
		return codeRequest(append(changes, "client_id", "asks", "redirect_uri", "https://app.example/cb")...)
	}
	_, cookie := s.logIn(request())
	s.wait(time.Hour)
	got := s.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {request("max_age", "60").Encode()}, "user": {s.userID(john)}, "decision": {"allow"},
	}), cookie))
	s.expectLogin("consent in an old session", s.follow(got, cookie))
	s.expectConsent("asks", s.serve(withCookie(
		httptest.NewRequest(http.MethodGet, "/authorize?"+request().Encode(), nil), cookie)))
}

// A max_age that cannot be read stays in the query after the login, so that the client is told (OpenID Connect Core
// section 3.1.2.6).
func TestBadMaxAgeAfterLogin(t *testing.T) {
	t.Parallel()
	s := newPARSite(t)
	for _, bad := range []string{"&max_age=soon", "&max_age=-1", "&max_age=0&max_age=0"} {
		got := s.serve(pageForm("/login", url.Values{
			"username": {john}, "password": {password}, "continue": {codeRequest("state", "st").Encode() + bad},
		}))
		cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
		_, value, _ := strings.Cut(cookie, "=")
		s.hide(value)
		s.expectError(bad, s.follow(got, cookie), "invalid_request")
	}
}
