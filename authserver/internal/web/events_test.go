package web_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// events returns the log lines with an event, without the time and with user ids masked.
func (s *site) events() []string {
	var lines []string
	userID := regexp.MustCompile(`usr_[0-9a-f-]+`)
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "event=") {
			_, line, _ = strings.Cut(strings.TrimSpace(line), " ")
			lines = append(lines, userID.ReplaceAllString(line, "usr_x"))
		}
	}
	return lines
}

func (s *site) expectEvents(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.events()); diff != "" {
		s.t.Errorf("events in the log (-want +got):\n%s", diff)
	}
}

// The log says who logs in, from where and what for, and why a login fails. Of an unknown
// username it has a digest with a key, since that may be a mistyped password.
func TestLoginEvents(t *testing.T) {
	t.Parallel()
	const mistyped = "what-was-typed-into-the-wrong-field"
	s := newSite(t)
	s.hide(mistyped)
	s.expectOK("login", s.post(login()))
	s.post(login("password", guess))
	s.post(login("username", mistyped))
	s.post(login("username", disabled))
	s.post(login("client_id", public, "grant_type", "password", "password", guess))
	for range 9 {
		s.post(login("username", "nobody"))
	}
	s.post(login("username", "nobody"))
	s.post(login("username", "nobody"))
	const (
		who    = ` user=usr_x username=john.doe address=127.0.0.1 client=demo grant_type=password`
		failed = `level=WARN msg="login failed" event=login_failed reason=`
	)
	unknown := func(name string) string {
		mac := hmac.New(sha256.New, []byte("key of the tests"))
		mac.Write([]byte(name))
		return ` username_digest=` + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16]) +
			` address=127.0.0.1 client=demo grant_type=password`
	}
	want := []string{
		`level=INFO msg="logged in" event=login` + who,
		failed + `"wrong password"` + who,
		failed + `"unknown user"` + unknown(mistyped),
		failed + `"disabled user"` + strings.Replace(who, john, disabled, 1),
		failed + `"wrong password"` + strings.Replace(who, "=demo", "=spa", 1),
	}
	for range 10 {
		want = append(want, failed+`"unknown user"`+unknown("nobody"))
	}
	s.expectEvents(append(want, failed+`throttled`+unknown("nobody"))...)
}

// The log says why a client authentication fails. It leaves out unknown client ids, which
// may be misplaced secrets.
func TestClientAuthenticationEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret := s.secrets[backend]
	s.post(passwordGrant(), basic(backend, secret))
	s.post(passwordGrant("client_id", backend, "client_secret", guess))
	s.post(passwordGrant("client_id", backend))
	s.post(passwordGrant("client_id", secret, "client_secret", backend))
	s.post(passwordGrant("client_id", public, "client_secret", guess))
	s.post(login(), header("Authorization", "Bearer "+secret))
	const failed = `level=WARN msg="client authentication failed" event=client_authentication_failed reason=`
	const from = ` address=127.0.0.1`
	s.expectEvents(
		`level=INFO msg="logged in" event=login user=usr_x username=john.doe`+from+` client=backend grant_type=password`,
		failed+`"wrong secret"`+from+` client=backend`,
		failed+`"missing secret"`+from+` client=backend`,
		failed+`"unknown client"`+from,
		failed+`"public client sent a secret"`+from+` client=spa`,
		failed+`"the Authorization header must be Basic, a space, and the base64 of client_id:client_secret, `+
			`both form-encoded"`+from,
	)
}

func TestPageEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	user, err := s.data.UserByUsername(t.Context(), john)
	s.must(err)
	submit := func(path string, form url.Values) {
		r := pageForm(path, form)
		r.Header.Set("Cookie", cookie)
		if got := s.serve(r); got.status != http.StatusSeeOther {
			t.Errorf("POST %s: got %d %s", path, got.status, got.text)
		}
	}
	submit("/consent", url.Values{"continue": {codeRequest().Encode()}, "user": {user.ID}, "decision": {"allow"}})
	submit("/logout", url.Values{"apps": {"end"}})
	s.expectEvents(
		`level=INFO msg="logged in" event=login user=usr_x username=john.doe address=192.0.2.1 client=code-app `+
			`grant_type=authorization_code`,
		`level=INFO msg="consent given" event=consent user=usr_x client=code-app api=https://api.example scope=profile`,
		`level=INFO msg="logged out" event=logout user=usr_x apps_too=true`,
	)
}

// The log says why a refresh is refused, which the response does not.
func TestRefreshEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addClient("refresher", "", oauth.GrantPassword, oauth.GrantRefreshToken)
	s.addClient("other", "", oauth.GrantRefreshToken)
	refresh := func(id, token string) string {
		s.hide(token)
		got := s.post(url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {token}}.Encode())
		next, _ := got.body["refresh_token"].(string)
		return next
	}
	first, _ := s.post(login("client_id", "refresher", "grant_type", "password")).body["refresh_token"].(string)
	refresh("refresher", "not-a-refresh-token")
	refresh("other", first)
	refresh("refresher", first)
	s.wait(time.Minute)
	refresh("refresher", first)
	refresh("refresher", first)
	second, _ := s.post(login("client_id", "refresher", "grant_type", "password")).body["refresh_token"].(string)
	s.wait(2 * time.Hour)
	refresh("refresher", second)

	const (
		failed = `level=WARN msg="refresh failed" event=refresh_failed reason=`
		by     = ` address=127.0.0.1 client=refresher`
		logged = `level=INFO msg="logged in" event=login user=usr_x username=john.doe` + by + ` grant_type=password`
	)
	s.expectEvents(
		logged,
		failed+`"malformed token"`+by,
		failed+`"token of another client" grant=1 user=usr_x address=127.0.0.1 client=other`,
		failed+`"token used before" grant=1 user=usr_x`+by,
		`level=WARN msg="a code or refresh token was used twice and may be stolen: its grant is revoked" `+
			`event=refresh_token_reuse grant=1 client=refresher`,
		failed+`"token used before" grant=1 user=usr_x`+by,
		logged,
		failed+`expired grant=2 user=usr_x`+by,
	)
}

// The response to a failed login waits for no record in the audit log: users get more of them than unknown names, so
// its time would tell who exists.
func TestFailedLoginsAreRecordedLater(t *testing.T) {
	t.Parallel()
	var failures *audit.Failures
	s := newSite(t, func(cfg *web.Config) {
		failures = audit.NewFailures(cfg.Store, cfg.Now, cfg.Log)
		cfg.Passwords.(*account.Login).Failures = failures
	})
	recorded := func() (reasons []string) {
		found, err := s.data.AuditRecords(t.Context(), audit.Filter{Event: audit.LoginFailed}, audit.Page{OldestFirst: true})
		s.must(err)
		for _, r := range found {
			reasons = append(reasons, r.Details["reason"]+" "+r.Actor.Address)
		}
		return reasons
	}
	s.post(login("password", guess))
	s.post(login("username", "nobody"))
	if got := recorded(); len(got) != 0 {
		t.Errorf("%q were recorded before the response", got)
	}
	failures.Flush(t.Context())
	want := []string{"wrong password 127.0.0.1", "unknown user 127.0.0.1"}
	if diff := cmp.Diff(want, recorded()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
