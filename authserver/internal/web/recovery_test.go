package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/emailcheck"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/recovery"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

const (
	johnsEmail  = "john@example.com"
	newPassword = "correct horse battery"
)

// recoverySite is a site that sends mails, and what it has sent.
type recoverySite struct {
	*site
	sender *mail.Sender
	config mail.Config // of the sender
	emails *emailcheck.Service
	fails  error // of every delivery

	sending sync.Mutex
	sent    []mail.Message
}

// Deliver keeps a mail.
func (s *recoverySite) Deliver(_ context.Context, m mail.Message) error {
	if s.fails != nil {
		return s.fails
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	s.sent = append(s.sent, m)
	return nil
}

// newRecoverySite starts a site on which john has a verified email address.
func newRecoverySite(t *testing.T) *recoverySite {
	t.Helper()
	return newMailSite(t, signup.Policy{Mode: signup.Off})
}

// newMailSite is newRecoverySite on which people make accounts.
func newMailSite(t *testing.T, policy signup.Policy) *recoverySite {
	t.Helper()
	s := &recoverySite{}
	s.site = newSite(t, func(cfg *web.Config) {
		data := cfg.Store
		hasher, err := account.NewHasher(bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		templates, err := mail.LoadTemplates("")
		if err != nil {
			t.Fatal(err)
		}
		login := &account.Login{Store: data, Hasher: hasher, Gate: account.NewGate(2, 64),
			NameKey: []byte("key of the tests"), Now: cfg.Now, Log: cfg.Log}
		cfg.Recovery = &recovery.Service{Store: data, Login: login, Now: cfg.Now, Log: cfg.Log}
		cfg.Emails = &emailcheck.Service{Store: data, Login: login, Now: cfg.Now, Log: cfg.Log}
		s.emails = cfg.Emails
		sender := mail.Config{
			IssuerURL: issuer, Store: data, Templates: templates, Transport: s, Now: cfg.Now, Log: cfg.Log,
		}
		if policy.Mode != signup.Off {
			cfg.SignUp = &signup.Service{Store: data, Login: login, Policy: policy, Now: cfg.Now, Log: cfg.Log}
			sender.MaySignUp = cfg.SignUp.MaySignUp
		}
		s.config, s.sender = sender, mail.New(sender)
	})
	s.hide(newPassword)
	s.addCodeApp()
	s.setEmail(john, johnsEmail, true)
	return s
}

// setEmail sets the email address of a user.
func (s *recoverySite) setEmail(username, email string, verified bool) {
	s.t.Helper()
	_, err := s.data.UpdateUser(s.t.Context(), username, s.clock(), func(u account.User) (account.User, error) {
		u.Email, u.EmailVerified = email, verified
		return u, nil
	})
	s.must(err)
}

// forgot sends the form for a forgotten password, and then the mails that are due.
func (s *recoverySite) forgot(typed string) answer {
	s.t.Helper()
	a := s.serve(pageForm("/forgot", url.Values{"username": {typed}}))
	s.must(s.sender.Send(s.t.Context()))
	return a
}

// link returns the secret of the link in the last mail.
func (s *recoverySite) link() string {
	s.t.Helper()
	return s.linkTo("/reset")
}

// linkTo returns the secret of the link in the last mail, which leads to a page.
func (s *recoverySite) linkTo(path string) string {
	s.t.Helper()
	if len(s.sent) == 0 {
		s.t.Fatal("no mail was sent")
	}
	text := s.sent[len(s.sent)-1].Text
	found := regexp.MustCompile(regexp.QuoteMeta(issuer+path) + `\?link=(\S+)`).FindStringSubmatch(text)
	if found == nil {
		s.t.Fatalf("no link in %q", text)
	}
	s.hide(found[1])
	return found[1]
}

func (s *recoverySite) open(link string) answer {
	return s.serve(httptest.NewRequest(http.MethodGet, issuer+"/reset?link="+url.QueryEscape(link), nil))
}

func (s *recoverySite) choose(link, password string) answer {
	return s.serve(pageForm("/reset", url.Values{"link": {link}, "password": {password}}))
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.serve(authorizeRequest()).says("the login page", http.StatusOK, `href="/forgot"`)
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/forgot", nil)).says("the form", http.StatusOK, "Send the email")
	cookie := s.sessionCookie()

	s.forgot(john).says("the form", http.StatusOK, "Check your email")
	if m := s.sent[0]; m.To != johnsEmail || !strings.Contains(m.Subject, "login.example") ||
		!strings.Contains(m.Text, "Hello John Doe") || !strings.Contains(m.Text, "30 minutes") {
		t.Errorf("got the mail %+v", m)
	}
	link := s.link()
	for range 3 { // mail scanners open links
		s.open(link).says("the link", http.StatusOK, "Choose a new password")
	}
	s.choose(link, "short").says("a short password", http.StatusBadRequest, "Use at least 8 characters.")
	s.choose(link, john).says("the username", http.StatusBadRequest, "It is the same as the username.")
	s.choose(link, "").says("no password", http.StatusBadRequest, "Use at least 8 characters.")
	chosen := s.choose(link, newPassword)
	chosen.says("a new password", http.StatusOK, "Your password was changed")
	if set := chosen.header.Get("Set-Cookie"); set != "" {
		t.Errorf("the browser of somebody who can read a mail is known after it: %q", set)
	}

	s.must(s.sender.Send(t.Context()))
	if last := s.sent[len(s.sent)-1]; len(s.sent) != 2 || last.To != johnsEmail ||
		!strings.Contains(last.Subject, "was changed") || strings.Contains(last.Text, "http") {
		t.Errorf("got the mails %+v", s.sent)
	}
	s.open(link).says("a used link", http.StatusBadRequest, "This link does not work")
	s.choose(link, newPassword+"!").says("a used link", http.StatusBadRequest, "This link does not work")
	s.serve(loginForm()).says("the old password", http.StatusBadRequest, wrongPassword)
	if got := s.serve(withCookie(authorizeRequest(), cookie)); got.status != http.StatusOK {
		t.Errorf("the session goes on: %d", got.status)
	}
	if got := s.serve(loginFormOf(john, newPassword)); got.status != http.StatusSeeOther {
		t.Errorf("the new password: %d\n%s", got.status, got.text)
	}
}

// The page says the same for every name. Mails go to verified addresses of active users only.
func TestForgottenPasswordOfNobody(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.setEmail(disabled, "disabled@example.com", true)
	want := s.forgot(john)
	for typed, mails := range map[string]int{
		john: 1, "  " + john + " ": 1, johnsEmail: 1, "JOHN@example.COM": 1,
		"nobody": 0, "nobody@example.com": 0, disabled: 0, "disabled@example.com": 0, "'; DROP TABLE users --": 0,
		strings.Repeat("x", 254): 0, "john@example.com\r\nBcc: eve@example.com": 0, "\u202ejohn": 0,
	} {
		s.sent = nil
		got := s.forgot(typed)
		if got.status != want.status || got.text != want.text || len(s.sent) != mails {
			t.Errorf("%q: status %d, %d mails, want %d\n%s", typed, got.status, len(s.sent), mails, got.text)
		}
	}
	s.sent = nil
	s.setEmail(john, johnsEmail, false)
	for _, typed := range []string{john, johnsEmail} {
		if got := s.forgot(typed); got.text != want.text || len(s.sent) != 0 {
			t.Errorf("%s, unverified: %d mails", typed, len(s.sent))
		}
	}
	for _, typed := range []string{"", "   ", strings.Repeat("x", 255)} {
		s.forgot(typed).says("a bad name", http.StatusBadRequest, "Type your username or your email address.")
	}
}

func TestForgottenPasswordErrors(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.forgot(john)
	link := s.link()
	for name, bad := range map[string]string{
		"no link": "", "cut": link[:20], "changed": "A" + link[1:], "long": strings.Repeat("x", 4000), "text": "<script>",
	} {
		s.open(bad).says(name, http.StatusBadRequest, "This link does not work")
		s.choose(bad, newPassword).says(name, http.StatusBadRequest, "This link does not work")
	}
	twice := httptest.NewRequest(http.MethodGet, issuer+"/reset?link="+link+"&link="+link, nil)
	s.serve(twice).says("two links", http.StatusBadRequest, "This link is broken")
	form := url.Values{"link": {link}, "password": {newPassword, newPassword}}
	s.serve(pageForm("/reset", form)).says("two passwords", http.StatusBadRequest, "could not be read")

	other := pageForm("/reset", url.Values{"link": {link}, "password": {newPassword}})
	other.Header.Set("Sec-Fetch-Site", "cross-site")
	s.serve(other).says("another site", http.StatusForbidden, "from another site")
	other = pageForm("/forgot", url.Values{"username": {john}})
	other.Header.Set("Origin", "https://evil.example")
	s.serve(other).says("another site", http.StatusForbidden, "from another site")

	s.wait(account.LinkLifetime)
	s.open(link).says("an expired link", http.StatusBadRequest, "This link does not work")
	s.choose(link, newPassword).says("an expired link", http.StatusBadRequest, "This link does not work")
}

// One network cannot ask for mails without end.
func TestForgottenPasswordLimit(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	var statuses []int
	for i := range mail.MaxRequestsOfNetwork + 1 {
		statuses = append(statuses, s.forgot("user"+strings.Repeat("x", i)).status)
	}
	if i := slices.Index(statuses, http.StatusTooManyRequests); i != mail.MaxRequestsOfNetwork {
		t.Errorf("got the statuses %v", statuses)
	}
	s.forgot(john).says("one more", http.StatusTooManyRequests, "Try again in an hour.")
	s.wait(mail.LimitPeriod + time.Second)
	s.forgot(john).says("an hour later", http.StatusOK, "Check your email")
}

// All ways to write a name count as one name.
func TestForgottenPasswordOfOneName(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	for _, typed := range []string{john, "ｊohn.doe", "jｏhn.doe", " john.doe", "john．doe", "ｊｏhn.doe", "johｎ.doe"} {
		s.forgot(typed).says(typed, http.StatusOK, "Check your email")
	}
	if len(s.sent) != mail.MaxRequestsOfNameByNetwork {
		t.Errorf("%d mails, want %d", len(s.sent), mail.MaxRequestsOfNameByNetwork)
	}
}

// A mail server that is down is tried again, with a new link.
func TestMailServerDown(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.fails = errors.New("connection refused")
	for _, pause := range []time.Duration{0, 10 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute} {
		s.wait(pause)
		if pause == 0 {
			s.forgot(john)
		}
		s.must(s.sender.Send(t.Context()))
	}
	log := s.log.String()
	if n := strings.Count(log, "event=mail_failed"); n != 4 || strings.Count(log, "event=mail_given_up") != 1 {
		t.Errorf("%d failures in the log, want 4, and one that is given up:\n%s", n, log)
	}
	s.fails = nil
	s.wait(time.Hour)
	s.must(s.sender.Send(t.Context()))
	if len(s.sent) != 0 {
		t.Errorf("got %d mails after it was given up", len(s.sent))
	}
}

// A mail that a server takes and does not send, because the database fails or the server stops, has not failed.
func TestMailThatIsNotTried(t *testing.T) {
	t.Parallel()
	s := newRecoverySite(t)
	s.serve(pageForm("/forgot", url.Values{"username": {john}}))
	for range 5 {
		ctx, stop := context.WithCancel(t.Context())
		broken := s.config
		broken.Store = noUsers{s.data, stop}
		if err := mail.New(broken).Send(ctx); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		s.wait(5 * time.Minute)
	}
	s.must(s.sender.Send(t.Context()))
	if log := s.log.String(); len(s.sent) != 1 || !regexp.MustCompile(`event=mail_sent .*attempt=1\b`).MatchString(log) {
		t.Errorf("%d mails:\n%s", len(s.sent), log)
	}
}

// noUsers is a store whose users cannot be read. The server stops then.
type noUsers struct {
	*store.Store

	stop context.CancelFunc
}

func (s noUsers) UsersToReset(context.Context, string, int) ([]account.User, error) {
	s.stop()
	return nil, store.ErrUnavailable
}

// Without mails there are no pages that need them.
func TestNoRecovery(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	if got := s.serve(authorizeRequest()); strings.Contains(got.text, "/forgot") {
		t.Error("the login page offers a mail")
	}
	for _, path := range []string{"/forgot", "/reset?link=x"} {
		r := httptest.NewRequest(http.MethodGet, issuer+path, nil)
		if got := s.serve(r); got.status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
}
