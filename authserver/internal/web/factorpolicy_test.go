package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// requires makes a site whose users must have a second factor by a policy.
func requires(policy account.SecondFactorPolicy) func(*web.Config) {
	return func(cfg *web.Config) {
		login, ok := cfg.Passwords.(*account.Login)
		if !ok {
			panic("the passwords of the site are checked by something else")
		}
		login.SecondFactors, cfg.SecondFactors.Policy = policy, policy
	}
}

// Everybody, or a group, must have a second factor. The last one cannot be removed then.
func TestUsersMustHaveSecondFactor(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t, requires(account.SecondFactorPolicy{Groups: []string{"admins"}}))
	s.arrives("a user of another group", s.password())
	s.setGroups("admins")
	s.visit("/authorize?"+codeRequest().Encode()).says("the login before", http.StatusOK, `action="/login"`)
	s.testBrowser = s.newBrowser()
	s.enrolInLogin("a member", s.secondStep())
	page := s.visit("/account/second-factors")
	page.says("the page", http.StatusOK, "Your administrator requires a second factor")
	_, id, _ := strings.Cut(page.text, `name="factor" value="`)
	id, _, _ = strings.Cut(id, `"`)
	s.form(page, "factor", id).says("removing the last one", http.StatusBadRequest, "Your administrator requires one")
	// A demo of the password rule: 8 characters are enough beside a second factor, 15 are needed alone.
	s.visit("/account/password").says("a member's new password", http.StatusOK, "At least 8 characters")
}

func (s *factorSite) setGroups(names ...string) {
	s.t.Helper()
	_, err := s.data.UpdateUser(s.t.Context(), john, s.clock(), func(u account.User) (account.User, error) {
		u.Groups = names
		return u, nil
	})
	s.must(err)
}

func TestMinimumLengthOfPasswords(t *testing.T) {
	t.Parallel()
	policy := account.SecondFactorPolicy{Groups: []string{"admins"}}
	s := newFactorSite(t, requires(policy), func(cfg *web.Config) {
		login, _ := cfg.Passwords.(*account.Login)
		login.MinPassword = account.DefaultMinPassword
	})
	const short, long = "fourteen chars", "fifteen chars!!"
	s.hide(short)
	s.hide(long)
	s.arrives("a login with a password from before", s.password())
	page := s.visit("/account/password")
	page.says("the page", http.StatusOK, "At least 15 characters")
	s.form(page, "password", password, "new_password", short).
		says("14 characters", http.StatusBadRequest, "Use at least 15 characters.")
	s.form(page, "password", password, "new_password", long).leadsTo("15 characters", "/account?done=password")
	s.setGroups("admins")
	s.form(page, "password", long, "new_password", short).leadsTo("with a second factor", "/account?done=password")
}

// A session goes on as it was after a new password: with its factors and the time of its login.
func TestNewPasswordKeepsTheLogin(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	s.arrives("both factors", s.form(s.secondStep(), "code", s.code(0)))
	s.wait(time.Minute)
	s.hide(newPassword)
	s.form(s.visit("/account/password"), "password", password, "new_password", newPassword).
		leadsTo("a new password", "/account?done=password")
	s.visit("/authorize?"+codeRequest("acr_values", "2").Encode()).says("two factors", http.StatusSeeOther, "code=")
	s.visit("/authorize?"+codeRequest("max_age", "59").Encode()).
		says("the login is as old", http.StatusOK, `action="/login"`)
}

// RFC 6749 section 4.3 has no place for a second factor. Users who have one fail as with a wrong password.
func TestPasswordGrantOfUserWithSecondFactor(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.expectOK("before", s.post(login()))
	s.addApp()
	right, wrong := s.post(login()), s.post(login("password", guess))
	right.expect("the right password", http.StatusBadRequest, oauth.CodeInvalidGrant, "Incorrect username or password")
	if diff := cmp.Diff(wrong.text, right.text); diff != "" || right.status != wrong.status {
		t.Errorf("the responses differ (-wrong +right):\n%s", diff)
	}
	if !strings.Contains(s.log.String(), `reason="second factor needed"`) {
		t.Errorf("the log does not say why:\n%s", s.log.String())
	}
	for range 8 {
		s.post(login())
	}
	s.post(login()).expect("it counts as a failure", http.StatusTooManyRequests, oauth.CodeTemporarilyUnavailable, "")
	s.waitForMail(mail.PasswordOnly, 1)
}

// waitForMail waits until as many mails of a kind were asked for, some of them after a response.
func (s *factorSite) waitForMail(kind mail.Kind, want int) {
	s.t.Helper()
	for got := -1; got < want; time.Sleep(time.Millisecond) {
		data, err := s.data.RemainderOf(s.t.Context(), s.userID(john))
		s.must(err)
		got = 0
		for _, m := range data.Mails {
			if m.Kind == string(kind) {
				got++
			}
		}
		if got > want {
			s.t.Fatalf("%d mails %s, want %d", got, kind, want)
		}
	}
}

// A member of a group who must have a second factor and has none cannot use the password grant either.
func TestPasswordGrantOfMember(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t, requires(account.SecondFactorPolicy{Groups: []string{"admins"}}))
	s.expectOK("before", s.post(login()))
	s.setGroups("admins")
	s.post(login()).expect("a member", http.StatusBadRequest, oauth.CodeInvalidGrant, "Incorrect username or password")
}

// Where everybody or the client needs a second factor, the grant is refused before the password is looked at.
func TestPasswordGrantIsRefused(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	_, err := s.data.UpdateClient(t.Context(), public, s.clock(), func(c client.Client) (client.Client, error) {
		c.RequireSecondFactor = true
		return c, nil
	})
	s.must(err)
	for range 20 { // it counts nothing
		for _, word := range []string{password, guess} {
			s.post(login("client_id", public, "grant_type", "password", "password", word)).
				expect("a client that requires it", http.StatusBadRequest,
					oauth.CodeUnauthorizedClient, "a second factor is required here")
		}
	}
	s.expectOK("another client", s.post(login()))
}

// Users are told of what happens to their second factors, and of logins from new places.
func TestMailsAboutSecondFactors(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	s.waitForMail(mail.SecondFactorAdded, 1)
	s.waitForMail(mail.NewDevice, 0)
	s.secondStep()
	s.arrives("a recovery code", s.form(s.visit("/login/recovery-code"), "code", s.codes[0]))
	s.waitForMail(mail.RecoveryCodeUsed, 1)
	_, err := s.data.RemoveSecondFactors(t.Context(), john, s.clock())
	s.must(err)
	s.waitForMail(mail.SecondFactorRemoved, 1)

	s.waitForMail(mail.NewDevice, 0) // all logins came from one address
	known := s.newBrowser()
	known.logsInFrom("198.51.100.7")
	s.waitForMail(mail.NewDevice, 1)
	known.logsInFrom("203.0.113.9") // a known browser
	s.newBrowser().logsInFrom("198.51.100.7")
	s.waitForMail(mail.NewDevice, 1)
}

// logsInFrom logs in with the password, from an IP address.
func (b *testBrowser) logsInFrom(address string) {
	b.s.t.Helper()
	form := loginForm()
	form.RemoteAddr = address + ":1234"
	b.arrives("from "+address, b.do(form))
}

// A user who has not logged in for so long that the addresses have been forgotten is told of a login, unlike one who
// logs in for the first time.
func TestMailToReturningUser(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.newBrowser().logsInFrom("198.51.100.7")
	s.waitForMail(mail.NewDevice, 0)
	s.expectOK("a login at a client", s.post(login()))
	s.wait(account.KnownFor + 24*time.Hour)
	s.must(s.data.Sweep(t.Context(), s.clock()))
	s.newBrowser().logsInFrom("203.0.113.9")
	s.waitForMail(mail.NewDevice, 1)
}

// A device whose client requires a second factor is approved only by a login with one.
func TestDeviceNeedsSecondFactor(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: "tv", Name: "TV", CreatedAt: s.clock(), Grants: []oauth.GrantType{oauth.GrantDeviceCode},
		Scope: oauth.Scope{"profile"}, RequireSecondFactor: true,
	}))
	r := pageForm("/device_authorization", map[string][]string{"client_id": {"tv"}})
	var device oauth.DeviceAuthorization
	s.serve(r).decode(&device)
	login := s.visit("/device?user_code=" + device.UserCode)
	question := s.follow(s.form(login, "username", john, "password", password))
	question.says("a login with the password alone", http.StatusOK, `name="second_factor" value="yes"`)
	denied := pageForm("/device", map[string][]string{
		"user_code": {device.UserCode}, "user": {s.userID(john)}, "decision": {"allow"},
	})
	s.do(denied).says("allowing it at once", http.StatusSeeOther, "/device?user_code=")

	page := s.follow(s.follow(s.form(question, "username", john, "password", password)))
	s.keep(page)
	s.keepCodes(s.form(page, "code", s.code(0)))
	question = s.visit("/device?user_code=" + device.UserCode)
	question.says("with both", http.StatusOK, "Connect this device?")
	s.form(question, "decision", "allow").says("allowed", http.StatusOK, "Device connected")
}
