package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// submitAs sends a form of the account page of a logged-in user: names and values.
func (s *recoverySite) submitAs(cookie, path string, fields ...string) answer {
	s.t.Helper()
	form := url.Values{"user": {s.userID(john)}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.serve(withCookie(pageForm(path, form), cookie))
}

// accountPage returns a page of the account.
func (s *recoverySite) accountPage(cookie, path string) answer {
	s.t.Helper()
	return s.serve(withCookie(httptest.NewRequest(http.MethodGet, issuer+path, nil), cookie))
}

func TestChangeEmailOnTheAccountPage(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	cookie := s.sessionCookie()
	s.accountPage(cookie, "/account").says("the account", http.StatusOK, `href="/account/email"`)
	s.accountPage(cookie, "/account/email").says("the form", http.StatusOK, "New email address")
	for what, tt := range map[string]struct{ email, password, says string }{
		"a wrong password": {"new@example.com", guess, "The password is wrong."},
		"no password":      {"new@example.com", "", "The password is wrong."},
		"no address":       {"", password, "Type an email address"},
		"a bad address":    {"new", password, "Type an email address"},
		"the same address": {johnsEmail, password, "This is already your email address."},
	} {
		s.submitAs(cookie, "/account/email", "email", tt.email, "password", tt.password).
			says(what, http.StatusBadRequest, tt.says)
	}
	if sent := s.sendMails(); len(sent) != 0 {
		t.Fatalf("got the mails %+v", sent)
	}
	s.submitAs(cookie, "/account/email", "email", "new@example.com", "password", password).
		leadsTo("a new address", "/account?done=email")
	s.accountPage(cookie, "/account?done=email").says("after it", http.StatusOK, "on its way to the new address")
	for _, m := range s.sendMails() {
		if m.To != "new@example.com" && m.To != johnsEmail {
			t.Errorf("a mail to %s", m.To)
		}
	}
	if len(s.sent) != 2 || s.john().Email != johnsEmail {
		t.Errorf("got the mails %+v, address %s", s.sent, s.john().Email)
	}
}

func TestVerifyEmailOnTheAccountPage(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.setEmail(john, johnsEmail, false)
	cookie := s.sessionCookie()
	s.accountPage(cookie, "/account").says("the account", http.StatusOK, `action="/account/verify-email"`)
	s.submitAs(cookie, "/account/verify-email").leadsTo("the button", "/account?done=verify")
	sent := s.sendMails()
	if len(sent) != 1 || sent[0].To != johnsEmail {
		t.Fatalf("got the mails %+v", sent)
	}
	s.serve(confirmEmail(s.linkTo("/email"))).says("the link", http.StatusOK, "is confirmed")
	s.accountPage(cookie, "/account").lacks("the account", "verify-email")
	s.submitAs(cookie, "/account/verify-email").leadsTo("the button in another tab", "/account")
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("got the mails %+v", sent)
	}
	s.expectEvent("account_email_requested", "user=usr_x address=192.0.2.1") // once
}

// The mail about a new password is right for the browser in which it was changed, too, in each language.
func TestMailAboutANewPassword(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{
		"en": "You are logged out everywhere. If you changed it on your account page, that\nbrowser stays logged in.",
		"de": "Wenn Sie es auf Ihrer Kontoseite geändert haben,\nbleibt der Browser angemeldet",
		"es": "Si la ha cambiado en la página de su cuenta,\nla sesión de ese navegador sigue abierta.",
		"ko": "계정 페이지에서 변경하셨다면 그 브라우저에서는\n로그인 상태가 유지됩니다.",
	} {
		s := newRecoverySite(t)
		login := s.serve(inLanguage(loginForm(), language))
		s.sendMails() // about the new device
		changed := s.submitAs(login.cookie(), "/account/password", "password", password, "new_password", newPassword)
		changed.leadsTo("a new password", "/account?done=password")
		s.accountPage(changed.cookie(), "/account").says("this browser", http.StatusOK, "Your account")
		sent := s.sendMails()
		if len(sent) != 1 || !strings.Contains(sent[0].Text, want) {
			t.Errorf("%s: got the mails %+v", language, sent)
		}
	}
}

// Without mails the address cannot be changed.
func TestAccountWithoutMails(t *testing.T) {
	t.Parallel()
	s := newAccountSite(t)
	s.open("/account").lacks("the account", "/account/email")
	if got := s.open("/account/email"); got.status != http.StatusNotFound {
		t.Errorf("the form: status %d", got.status)
	}
}
