package web_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// passwords is a function in the place of *account.Login.
type passwords func(ctx context.Context, a account.Attempt) (account.User, error)

func (p passwords) Check(ctx context.Context, a account.Attempt) (account.User, error) {
	return p(ctx, a)
}

// CHECKLIST 27: a login that began with the old password leaves no session behind, and
// the user is asked again.
func TestPasswordChangedDuringLogin(t *testing.T) {
	for _, changed := range []bool{false, true} {
		for _, cookie := range []string{"", "__Host-hallpass=of-a-session-before"} {
			var s *site
			s = newSite(t, func(cfg *web.Config) {
				before := cfg.Passwords
				cfg.Passwords = passwords(func(ctx context.Context, a account.Attempt) (account.User, error) {
					user, err := before.Check(ctx, a)
					if err == nil && changed {
						err = s.data.SetPassword(ctx, a.Username, "hash", s.clock())
					}
					return user, err
				})
			})
			s.addCodeApp()
			r := loginForm()
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			got := s.serve(r)
			set := got.header.Get("Set-Cookie")
			if !changed {
				if got.status != http.StatusSeeOther || !strings.HasPrefix(set, "__Host-hallpass=") {
					t.Errorf("a good login: %d with the cookie %q\n%s", got.status, set, got.text)
				}
				continue
			}
			if got.status != http.StatusBadRequest || set != "" || !strings.Contains(got.text, "do not belong together") || !strings.Contains(got.text, `name="password"`) {
				t.Errorf("cookie %q: %d with the cookie %q\n%s", cookie, got.status, set, got.text)
			}
		}
	}
}

// RFC 7662 §2.2: exp of a refresh token is its own end, not the one of an access token
// that lives longer.
func TestIntrospectedEndOfARefreshToken(t *testing.T) {
	s := newSite(t)
	s.addClient("refresher", "", oauth.GrantPassword, oauth.GrantRefreshToken)
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(secret)
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: "gateway", Name: "Gateway", SecretDigest: digest, Grants: []oauth.GrantType{oauth.GrantClientCredentials},
		Scope: oauth.Scope{"profile"}, Introspects: true, CreatedAt: s.clock(),
	}))
	end := s.clock().Add(24 * time.Hour)
	got := s.post(login("client_id", "refresher", "grant_type", "password"))
	const pause = 59 * time.Minute // less than the hour that a refresh token may be idle
	for s.clock().Add(lifetime).Before(end) {
		s.expectOK("a token", got)
		s.wait(pause)
		refresh, _ := got.body["refresh_token"].(string)
		got = s.post(url.Values{"grant_type": {"refresh_token"}, "client_id": {"refresher"}, "refresh_token": {refresh}}.Encode())
	}
	s.expectOK("the last token", got)
	refresh, _ := got.body["refresh_token"].(string)
	s.hide(refresh)

	r := s.request(url.Values{"token": {refresh}}.Encode(), basic("gateway", secret))
	r.URL.Path = "/introspect"
	answer := s.send(r)
	var said map[string]any
	s.must(json.Unmarshal([]byte(answer.text), &said))
	if said["active"] != true || said["exp"] != float64(end.Unix()) {
		t.Errorf("%s, want one that is active until %d", answer.text, end.Unix())
	}
}
