package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// passwords is a function that implements issuing.Passwords.
type passwords func(ctx context.Context, a account.Attempt) (account.User, error)

func (p passwords) Check(ctx context.Context, a account.Attempt) (account.User, error) {
	return p(ctx, a)
}

func (p passwords) GiveBack(context.Context, account.User) error { return nil }

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
		cfg.Passwords = passwords(func(ctx context.Context, a account.Attempt) (account.User, error) {
			user, err := real.Check(ctx, a)
			if err == nil && changed {
				err = s.data.SetPassword(ctx, a.Username, "hash", s.clock())
			}
			return user, err
		})
	})
	s.addCodeApp()
	return s
}
