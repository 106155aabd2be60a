package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// Programs that look at mails open all links, with GET or HEAD, before their readers do. That uses up none.
func TestMailScanner(t *testing.T) {
	t.Parallel()
	s := newSignUpSite(t)
	s.forgot(john)
	links := map[string]string{"/reset": s.link(), "/signup/account": s.signUpLink(adaEmail)}
	s.sent = nil
	s.setEmail(john, "new@example.com", false)
	s.must(s.emails.RequestVerification(t.Context(), s.john(), from, "en"))
	s.sendMails()
	verify := s.linkTo("/email")
	s.setEmail(john, johnsEmail, true)
	change := s.changeLink("other@example.com")

	open := func(path, link string) {
		t.Helper()
		for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet, http.MethodHead} {
			r := httptest.NewRequest(method, issuer+path+"?link="+url.QueryEscape(link), nil)
			if got := s.serve(r); got.status != http.StatusOK || got.header.Get("Set-Cookie") != "" && path != "/email" {
				t.Errorf("%s %s: status %d, cookies %q", method, path, got.status, got.header.Values("Set-Cookie"))
			}
		}
	}
	for path, link := range links {
		open(path, link)
	}
	open("/email", change)
	if u := s.john(); u.Email != johnsEmail {
		t.Errorf("the address is %s", u.Email)
	}
	s.setEmail(john, "new@example.com", false)
	open("/email", verify)
	if s.john().EmailVerified {
		t.Error("the address is verified")
	}
	s.serve(confirmEmail(verify)).says("the link to verify", http.StatusOK, "Your email address is confirmed")
	s.setEmail(john, johnsEmail, true)
	s.serve(withCookie(confirmEmail(change), s.sessionCookie())).
		says("the link to change", http.StatusOK, "other@example.com is now the email address")
	s.serve(accountForm(links["/signup/account"])).says("the link to sign up", http.StatusOK, "You can log in now")
	s.setEmail(john, johnsEmail, true)
	s.choose(links["/reset"], newPassword).says("the link to reset", http.StatusOK, "Your password was changed")
}
