package bff_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

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
