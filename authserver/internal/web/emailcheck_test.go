package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// from is the address of the browser of these tests.
const from = "192.0.2.1"

// john returns the user of that name.
func (s *recoverySite) john() account.User {
	s.t.Helper()
	u, err := s.data.UserByUsername(s.t.Context(), john)
	s.must(err)
	return u
}

// sendMails sends the mails that are due and returns them.
func (s *recoverySite) sendMails() []mail.Message {
	s.t.Helper()
	s.sent = nil
	s.must(s.sender.Send(s.t.Context()))
	return s.sent
}

func openPage(path, link string) *http.Request {
	return httptest.NewRequest(http.MethodGet, issuer+path+"?link="+url.QueryEscape(link), nil)
}

func confirmEmail(link string) *http.Request { return pageForm("/email", url.Values{"link": {link}}) }

func TestVerifyEmail(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	err := s.emails.RequestVerification(t.Context(), s.john(), from, "en")
	if !errors.Is(err, emailcheck.ErrNothingToVerify) {
		t.Errorf("a verified address: %v", err)
	}
	s.setEmail(john, johnsEmail, false)
	s.must(s.emails.RequestVerification(t.Context(), s.john(), from, "en"))
	if sent := s.sendMails(); len(sent) != 1 || sent[0].To != johnsEmail || !strings.Contains(sent[0].Text, john) {
		t.Fatalf("got the mails %+v", sent)
	}
	link := s.linkTo("/email")
	for range 3 { // mail scanners open links
		s.serve(openPage("/email", link)).says("the link", http.StatusOK, johnsEmail)
	}
	if s.john().EmailVerified {
		t.Error("opening the link verified the address")
	}
	other := confirmEmail(link)
	other.Header.Set("Sec-Fetch-Site", "cross-site")
	s.serve(other).says("another site", http.StatusForbidden, "from another site")
	large := pageForm("/email", url.Values{"link": {link}, "x": {strings.Repeat("x", 1<<20)}})
	s.serve(large).says("1 MB", http.StatusBadRequest, "could not be read")

	s.serve(confirmEmail(link)).says("the button", http.StatusOK, "Your email address is confirmed")
	if !s.john().EmailVerified {
		t.Error("the address is not verified")
	}
	s.serve(openPage("/email", link)).says("a used link", http.StatusBadRequest, "This link does not work")
	s.serve(confirmEmail(link)).says("a used link", http.StatusBadRequest, "This link does not work")
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("got the mails %+v", sent)
	}
}

// The mail goes to the address that it was asked for, or to none.
func TestVerifyEmailAfterAChange(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	for name, change := range map[string]func(){
		"another address": func() { s.setEmail(john, "other@example.com", false) },
		"verified":        func() { s.setEmail(john, johnsEmail, true) },
		"no address":      func() { s.setEmail(john, "", false) },
	} {
		s.setEmail(john, johnsEmail, false)
		s.must(s.emails.RequestVerification(t.Context(), s.john(), from, "en"))
		change()
		if sent := s.sendMails(); len(sent) != 0 {
			t.Errorf("%s: got the mails %+v", name, sent)
		}
	}
}

func TestChangeEmail(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	const next = "john@new.example"
	s.must(s.emails.RequestChange(t.Context(), s.john(), " john@NEW.example ", from, "en"))
	sent := s.sendMails()
	if len(sent) != 2 {
		t.Fatalf("got the mails %+v", sent)
	}
	to := map[string]mail.Message{sent[0].To: sent[0], sent[1].To: sent[1]}
	if text := to[johnsEmail].Text; !strings.Contains(text, "another email address") || strings.Contains(text, "link=") {
		t.Errorf("the mail to the present address: %q", text)
	}
	if text := to[next].Text; strings.Contains(text, john) || strings.Contains(text, "John") {
		t.Errorf("the mail to an address that may be a stranger's names the user: %q", text)
	}
	s.sent = []mail.Message{to[next]}
	link := s.linkTo("/email")
	cookie := s.sessionCookie()
	page := s.serve(withCookie(openPage("/email", link), cookie))
	page.says("the link", http.StatusOK, next)
	page.says("the link", http.StatusOK, "It replaces "+johnsEmail)
	if u := s.john(); u.Email != johnsEmail {
		t.Errorf("opening the link changed the address to %s", u.Email)
	}
	s.serve(withCookie(confirmEmail(link), cookie)).
		says("the button", http.StatusOK, next+" is now the email address")
	if u := s.john(); u.Email != next || !u.EmailVerified {
		t.Errorf("the address is %s, verified %v", u.Email, u.EmailVerified)
	}
	if sent := s.sendMails(); len(sent) != 1 || sent[0].To != johnsEmail || !strings.Contains(sent[0].Text, "no longer") {
		t.Errorf("got the mails %+v", sent)
	}
	s.serve(confirmEmail(link)).says("a used link", http.StatusBadRequest, "This link does not work")
}

// changeLink asks for another email address of john, and returns the secret of the link in the mail to it.
func (s *recoverySite) changeLink(email string) string {
	s.t.Helper()
	s.must(s.emails.RequestChange(s.t.Context(), s.john(), email, from, "en"))
	for _, m := range s.sendMails() {
		if m.To == email {
			s.sent = []mail.Message{m}
		}
	}
	return s.linkTo("/email")
}

// The mail may have reached a stranger. So the link asks for a login, survives it, and shows nothing before.
func TestChangeEmailNeedsALogin(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	link := s.changeLink("john@new.example")
	for name, r := range map[string]*http.Request{
		"the page":        openPage("/email", link),
		"the button":      confirmEmail(link),
		"an old session":  withCookie(openPage("/email", link), "__Host-hallpass=gone"),
		"its button, too": withCookie(confirmEmail(link), "__Host-hallpass=gone"),
	} {
		page := s.serve(r)
		page.says(name, http.StatusOK, `name="continue" value="/email?link=`+link+`"`)
		page.says(name, http.StatusOK, "to confirm your email address")
		for _, private := range []string{john, "John Doe", johnsEmail} {
			page.lacks(name, private)
		}
	}
	if u := s.john(); u.Email != johnsEmail {
		t.Errorf("the address is %s without a login", u.Email)
	}

	login := func(password string) answer {
		return s.serve(pageForm("/account/login", url.Values{
			"username": {john}, "password": {password}, "continue": {"/email?link=" + link},
		}))
	}
	login(guess).says("a wrong password", http.StatusBadRequest, `value="/email?link=`+link+`"`)
	in := login(password)
	in.leadsTo("the login", "/email?link="+link)
	s.serve(withCookie(openPage("/email", link), in.cookie())).says("after it", http.StatusOK, johnsEmail)
	s.serve(withCookie(confirmEmail(link), in.cookie())).says("after it", http.StatusOK, "is confirmed")
	if u := s.john(); u.Email != "john@new.example" {
		t.Errorf("the address is %s after the login", u.Email)
	}
}

// Nobody gets an address into the account of somebody else.
func TestChangeEmailOfAnotherUser(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	u, err := account.New(jane, "Jane Smith", s.john().PasswordHash, s.clock())
	s.must(err)
	s.must(s.data.CreateUser(t.Context(), u))
	link := s.changeLink("jane@example.com")
	cookie := s.serve(loginFormOf(jane, password)).cookie()
	for name, r := range map[string]*http.Request{
		"the page": openPage("/email", link), "the button": confirmEmail(link),
	} {
		page := s.serve(withCookie(r, cookie))
		page.says(name, http.StatusForbidden, "logged in as "+jane)
		page.says(name, http.StatusForbidden, `href="/logout"`)
		page.lacks(name, john)
		page.lacks(name, johnsEmail)
	}
	if u := s.john(); u.Email != johnsEmail {
		t.Errorf("john has the address %s", u.Email)
	}
	s.serve(withCookie(confirmEmail(link), s.sessionCookie())).says("its user", http.StatusOK, "is confirmed")
}

// The login page continues with the page of a link, and with nothing that only looks like it.
func TestLoginContinuesWithALinkOnly(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	for _, next := range []string{
		"/email", "/email?", "/email?link=", "/email?link=a&link=b", "/email?x=1&link=a", "/email?link=a#b",
		"/email?link=%61",
		"/email?link=a\r\nX-Y: z", "/email?link=a\n", "//email?link=a", "/email/../logout?link=a", "\\email?link=a",
		"https://evil.example/email?link=a", "//evil.example/email?link=a", "/reset?link=a", "/signup/account?link=a",
		"/email?link=https://evil.example", "/email?link=" + strings.Repeat("a", 129), " /email?link=a",
	} {
		s.serve(pageForm("/account/login", url.Values{
			"username": {john}, "password": {password}, "continue": {next},
		})).leadsTo(next, "/account")
	}
}

func TestChangeEmailErrors(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	for _, email := range []string{
		"", "john", "john@", "@example.com", "a@b@c", "john@exa mple.com", "jöhn@example.com", "john@ex\u0430mple.com",
		"john@example.com\r\nBcc: eve@example.com", "john@example.com,eve@example.com", "John <john@example.com>",
		"john\u200b@example.com", "john@[127.0.0.1]", "john@-x.example", strings.Repeat("x", 250) + "@example.com",
	} {
		if err := s.emails.RequestChange(t.Context(), s.john(), email, from, "en"); !errors.Is(err, emailcheck.ErrEmail) {
			t.Errorf("%q: %v", email, err)
		}
	}
	if err := s.emails.RequestChange(t.Context(), s.john(), johnsEmail, from, "en"); !errors.Is(err, emailcheck.ErrSame) {
		t.Errorf("the same address: %v", err)
	}
	if sent := s.sendMails(); len(sent) != 0 {
		t.Errorf("got the mails %+v", sent)
	}

	s.must(s.emails.RequestChange(t.Context(), s.john(), "john@new.example", from, "en"))
	s.sendMails()
	link := s.changeLink("john@new.example")
	s.must(s.data.SetPassword(t.Context(), john, "$2a$04$new", s.clock()))
	s.serve(openPage("/email", link)).says("after a new password", http.StatusBadRequest, "This link does not work")
	s.serve(confirmEmail(link)).says("after a new password", http.StatusBadRequest, "This link does not work")
	for _, bad := range []string{"", link[:10], strings.Repeat("x", 4000), "<script>"} {
		s.serve(confirmEmail(bad)).says("a bad link", http.StatusBadRequest, "This link does not work")
	}
}

// Nobody learns from a change whether another user has the address. Its owner gets a mail.
func TestChangeEmailToThatOfAnotherUser(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	u, err := account.New("ada", "Ada", "$2a$04$x", s.clock())
	s.must(err)
	u.Email, u.EmailVerified = "ada@example.com", true
	s.must(s.data.CreateUser(t.Context(), u))
	s.must(s.emails.RequestChange(t.Context(), s.john(), "ADA@example.com", from, "en"))
	sent := s.sendMails()
	if len(sent) != 2 {
		t.Fatalf("got the mails %+v", sent)
	}
	for _, m := range sent {
		if m.To != johnsEmail && (m.To != "ada@example.com" || !strings.Contains(m.Text, "You already have one") ||
			strings.Contains(m.Text, "link=")) {
			t.Errorf("got the mail %+v", m)
		}
	}

	// The other user gets the address while the link is on its way.
	s.must(s.data.DeleteUser(t.Context(), "ada", s.clock()))
	link := s.changeLink("ada@example.com")
	u.ID += "2"
	s.must(s.data.CreateUser(t.Context(), u))
	s.serve(withCookie(confirmEmail(link), s.sessionCookie())).
		says("an address that is taken", http.StatusBadRequest, "You already have an account")
	if u := s.john(); u.Email != johnsEmail {
		t.Errorf("john has the address %s", u.Email)
	}
}

// A user cannot use the server to send mails to others without end.
func TestChangeEmailLimits(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	mails := 0
	for range mail.MaxRequestsOfName + 3 {
		s.must(s.emails.RequestChange(t.Context(), s.john(), "eve@example.com", from, "en"))
		mails += len(s.sendMails())
	}
	if mails != 2*mail.MaxRequestsOfNameByNetwork {
		t.Errorf("%d mails, want %d", mails, 2*mail.MaxRequestsOfNameByNetwork)
	}
	var err error
	for i := range mail.MaxRequestsOfNetwork {
		email := strings.Repeat("x", i+1) + "@example.com"
		if err = s.emails.RequestChange(t.Context(), s.john(), email, from, "en"); err != nil {
			break
		}
	}
	if !errors.Is(err, mail.ErrTooMany) {
		t.Errorf("many addresses: %v, want ErrTooMany", err)
	}
}
