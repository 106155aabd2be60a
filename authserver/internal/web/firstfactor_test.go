package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey/passkeytest"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// firstPasskeyPage begins a login that needs a second factor, as a user who has none, and opens the page for a passkey.
func (s *passkeySite) firstPasskeyPage() answer {
	s.t.Helper()
	s.testBrowser = s.newBrowser()
	page := s.secondStep("acr_values", "2")
	page.says("the first page", http.StatusOK, `action="/login/new-app"`)
	page.says("the first page", http.StatusOK, `<a href="/login/new-passkey">Add a passkey</a>`)
	page = s.visit("/login/new-passkey")
	page.says("the page for a passkey", http.StatusOK, `<a href="/login/new-app">Add an authenticator app</a>`)
	return page
}

// A user who must have a second factor and has none can add a passkey in the login.
func TestFirstPasskeyInLogin(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	page := s.firstPasskeyPage()
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "form-action 'self' https:") {
		t.Errorf("the policy is %s", policy)
	}
	wrong := s.answers(page, "{}", "name", "<My key>")
	wrong.says("no passkey", http.StatusBadRequest, "not accepted")
	wrong.says("no passkey", http.StatusBadRequest, `value="&lt;My key&gt;"`)
	codes := s.answers(wrong, s.device.Create(s.optionsOf(wrong)), "name", "Key")
	s.keepCodes(codes)
	if got := s.methods(); got != "pwd hwk user mfa" {
		t.Errorf("methods %s", got)
	}
	next := regexp.MustCompile(`<a class="button" href="([^"]+)"`).FindStringSubmatch(codes.text)
	s.arrives("the login", s.visit(unescaped(next[1])))
	s.visit("/account/second-factors").says("the account", http.StatusOK, "Key")
	s.arrives("the next login", s.passkeyStep())
	s.device.Origin = "https://evil.example"
	s.passkeyStep().says("another origin", http.StatusBadRequest, "not accepted")
	s.device.Origin = issuer
	s.arrives("without a password", s.passkeyLogin())
	s.expectSteps(map[string]float64{"ok": 2, "wrong_passkey": 2})
}

// The page of the first passkey belongs to one login, and adds no second one.
func TestFirstPasskeyRefused(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	first := s.firstPasskeyPage()
	answer := s.device.Create(s.optionsOf(first))

	other := s.newBrowser()
	other.answers(first, answer).says("another browser", http.StatusBadRequest, "Please start again")
	second := s.firstPasskeyPage()
	moved := url.Values{"login": {hiddenField(second, "login")}, "passkey": {answer}}
	s.do(pageForm("/login/new-passkey", moved)).says("another login", http.StatusBadRequest, "open for too long")
	elsewhere := passkeytest.New(t, "https://evil.example", "login.example")
	second = s.answers(second, elsewhere.Create(s.optionsOf(second)))
	second.says("another origin", http.StatusBadRequest, "not accepted")

	s.keepCodes(s.answers(second, s.device.Create(s.optionsOf(second))))
	s.testBrowser = s.newBrowser()
	s.secondStep().says("the next login", http.StatusOK, `action="/login/passkey"`)
	s.visit("/login/new-passkey").leadsTo("another passkey", "/login/second-step")
	s.visit("/login/new-app").leadsTo("another app", "/login/second-step")
	s.answers(first, answer).says("the first page again", http.StatusBadRequest, "Please start again")
	login := hiddenField(s.visit("/login/passkey"), "login")
	for _, path := range []string{"/login/new-passkey", "/login/new-app"} {
		s.do(pageForm(path, url.Values{"login": {login}, "passkey": {answer}})).
			says("the form of "+path, http.StatusBadRequest, "Please start again")
	}
}

// Without a domain there are no passkeys, and a login adds an app.
func TestFirstFactorWithoutPasskeys(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t, func(cfg *web.Config) {
		cfg.SecondFactors.Policy = account.SecondFactorPolicy{Everybody: true}
	})
	s.secondStep().lacks("the page", "passkey")
	s.visit("/login/new-passkey").leadsTo("the page of passkeys", "/login/second-step")
}

// hiddenField returns the value of a hidden field of a page.
func hiddenField(page answer, name string) string {
	found := regexp.MustCompile(`type="hidden" name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page.text)
	if found == nil {
		return ""
	}
	return unescaped(found[1])
}
