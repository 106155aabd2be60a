package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// passwords checks passwords with a function.
type passwords struct {
	web.Passwords
	check func(ctx context.Context, a account.Attempt) (account.User, error)
}

func (p passwords) Check(ctx context.Context, a account.Attempt) (account.User, error) {
	return p.check(ctx, a)
}

// RFC 9700 section 4.14.2: if the password changes during a login, the login fails and no
// session is created.
func TestPasswordChangedDuringLogin(t *testing.T) {
	t.Parallel()
	for _, changed := range []bool{false, true} {
		for _, cookie := range []string{"", "__Host-hallpass=of-a-previous-session"} {
			s := newSiteWithPasswordChange(t, changed)
			r := loginForm()
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			got := s.serve(r)
			set := got.header.Get("Set-Cookie")
			if !changed {
				if got.status != http.StatusSeeOther || !strings.HasPrefix(set, "__Host-hallpass=") {
					t.Errorf("unchanged password: got %d, cookie %q\n%s", got.status, set, got.text)
				}
				continue
			}
			if got.status != http.StatusBadRequest || set != "" || !strings.Contains(got.text, wrongPassword) ||
				!strings.Contains(got.text, `name="password"`) {
				t.Errorf("changed password, request cookie %q: got %d, cookie %q\n%s", cookie, got.status, set, got.text)
			}
		}
	}
}

// newSiteWithPasswordChange starts a site on which, if changed is set, a user's password
// changes right after it was checked.
func newSiteWithPasswordChange(t *testing.T, changed bool) *site {
	t.Helper()
	var s *site
	s = newSite(t, func(cfg *web.Config) {
		real := cfg.Passwords
		cfg.Passwords = passwords{real, func(ctx context.Context, a account.Attempt) (account.User, error) {
			user, err := real.Check(ctx, a)
			if err == nil && changed {
				err = s.data.SetPassword(ctx, a.Username, "hash", s.clock())
			}
			return user, err
		}}
	})
	s.addCodeApp()
	return s
}

// A browser in which a user has logged in keeps a way in, whatever others do.
func TestKnownBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	logIn := func(address, cookie, password string) answer {
		form := codeRequest()
		r := pageForm("/login", url.Values{"continue": {form.Encode()}, "username": {john}, "password": {password}})
		r.RemoteAddr = address + ":1"
		r.Header.Set("Cookie", cookie)
		return s.serve(r)
	}
	const name = "__Host-hallpass_browser="
	var known string
	for _, set := range logIn("192.0.2.1", "", password).header.Values("Set-Cookie") {
		if value, _, _ := strings.Cut(set, ";"); strings.HasPrefix(value, name) {
			known = value
			for _, attribute := range []string{"; HttpOnly", "; Secure", "; SameSite=Lax", "; Path=/", "; Max-Age=7776000"} {
				if !strings.Contains(set, attribute) {
					t.Errorf("%s: no %q", set, attribute)
				}
			}
		}
	}
	if known == "" {
		t.Fatal("no cookie")
	}
	for i := range account.AccountLimit.Free {
		address := fmt.Sprintf("198.51.100.%d", i)
		if got := logIn(address, "", "wrong"); got.status != http.StatusBadRequest || got.header.Get("Set-Cookie") != "" {
			t.Fatalf("guess %d: status %d", i, got.status)
		}
	}
	for _, tt := range []struct {
		what, cookie string
		status       int
	}{
		{"no cookie", "", http.StatusTooManyRequests},
		{"another cookie", name + "x." + strings.Repeat("A", 27), http.StatusTooManyRequests},
		{"the cookie", known, http.StatusSeeOther},
	} {
		if got := logIn("203.0.113.1", tt.cookie, password); got.status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.what, got.status, tt.status)
		}
	}
}
