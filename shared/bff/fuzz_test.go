package bff_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bff"
)

// Whatever the page asks for, the browser stays at its origin after the login.
func FuzzReturnTo(f *testing.F) {
	for _, path := range []string{
		"", "/", "/a?b#c", "//evil.example", `/\evil.example`, "/\t/evil.example", "/%5c", "x:y",
	} {
		f.Add(path)
	}
	a := newApp(f, quiet)
	origin, err := url.Parse(a.URL)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		b := &browser{t, a, map[string]string{}}
		resp := b.send("GET", "/bff/login?return_to="+url.QueryEscape(path), nil, "")
		if resp.StatusCode == http.StatusBadRequest {
			return
		}
		back := strings.TrimPrefix(a.auth.authorize(t, resp.Header.Get("Location")), a.URL)
		location := b.send("GET", back, nil, "").Header.Get("Location")
		// A browser drops these, and reads a backslash as a slash.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(location)
		to, err := origin.Parse(seen)
		if err != nil || to.Host != origin.Host || to.Scheme != origin.Scheme {
			t.Errorf("%q leads to %q", path, location)
		}
	})
}

// Only what a Handler has written is a session.
func FuzzCookie(f *testing.F) {
	a := newApp(f, quiet)
	b := a.browser()
	b.login()
	good := b.cookies[sessionCookie]
	for _, value := range []string{"", "1", good, good[:100], "2" + good[1:], strings.ToLower(good)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		sent := &http.Cookie{Name: sessionCookie, Value: value}
		parsed, err := http.ParseCookie(sent.String()) // what AddCookie leaves of the value
		if err != nil || parsed[0].Value == good {
			return // no cookie, or the valid one
		}
		b := &browser{t, a, map[string]string{sessionCookie: value}}
		if resp := b.page("GET", "/bff/session"); !strings.Contains(resp.body, `"user":null`) {
			t.Errorf("%q: %s %s", value, resp.Status, resp.body)
		}
	})
}

func quiet(c *bff.Config) { c.Log = slog.New(slog.DiscardHandler) }

// Only a logout token that the authorization server has signed ends a session (OpenID Connect Back-Channel Logout 1.0
// section 2.6).
func FuzzLogoutToken(f *testing.F) {
	a := newApp(f, func(c *bff.Config) { quiet(c); c.Store, c.Guard = new(bff.MemoryStore), nil })
	for _, body := range []string{
		"", "logout_token=", "logout_token=TOKEN", "logout_token=TOKENx", "logout_token=x&logout_token=TOKEN",
		"logout_token=a.b.c",
		"logout_token=%zz", "LOGOUT_TOKEN=TOKEN", "TOKEN", "logout_token=eyJhbGciOiJub25lIn0.e30.", "logout_token=TOKEN&a;b",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { // the token differs from run to run, so inputs have a word for it
		a.auth.clock.pass(time.Minute) // so that the keys can be fetched again
		good := a.auth.logoutToken(map[string]any{"sid": "another"})
		b := &browser{t, a, map[string]string{}}
		header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		resp := b.send("POST", "/bff/backchannel-logout", header, strings.ReplaceAll(body, "TOKEN", good))
		values, _ := url.ParseQuery(body) // without what is malformed, as net/http reads it
		want := http.StatusBadRequest
		if values.Get("logout_token") == "TOKEN" {
			want = http.StatusOK
		}
		if resp.StatusCode != want {
			t.Errorf("%q: %s %s, want %d", body, resp.Status, resp.body, want)
		}
	})
}

// A callback that does not belong to a login of this browser logs nobody in (RFC 6749 section 10.12).
func FuzzCallback(f *testing.F) {
	for _, query := range []string{
		"", "code=x", "code=x&state=y", "error=access_denied&state=y", "code=x&state=", "state=%zz",
		"code=a&code=b&state=y&iss=z",
	} {
		f.Add(query)
	}
	a := newApp(f, quiet)
	f.Fuzz(func(t *testing.T, query string) {
		b := &browser{t, a, map[string]string{}}
		b.startLogin("/")
		u := url.URL{Path: "/bff/callback", RawQuery: query}
		if _, err := url.ParseRequestURI(u.String()); err != nil {
			return
		}
		resp := b.send("GET", u.String(), nil, "")
		if resp.StatusCode >= http.StatusInternalServerError || b.loggedIn() {
			t.Errorf("%q: %s, logged in: %v", query, resp.Status, b.loggedIn())
		}
	})
}
