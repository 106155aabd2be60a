package web_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey/passkeytest"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// passkeySite is a site with passkeys, whose user has one on a device once addPasskey was called.
type passkeySite struct {
	*factorSite
	device *passkeytest.Device
}

func newPasskeySite(t *testing.T) *passkeySite {
	t.Helper()
	s := &passkeySite{factorSite: newFactorSite(t, withPasskeys(t))}
	s.device = passkeytest.New(t, issuer, "login.example")
	return s
}

// withPasskeys lets a site have passkeys.
func withPasskeys(t *testing.T) func(*web.Config) {
	return func(cfg *web.Config) {
		t.Helper()
		passkeys, err := passkey.New(passkey.Config{
			Issuer: cfg.IssuerURL, Key: []byte("key of the tests"), Store: cfg.Store, Login: cfg.Passwords.(*account.Login),
			Now: cfg.Now, Random: rand.Reader,
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Passkeys = passkeys
	}
}

// optionsOf returns what a page asks a passkey for.
func (s *site) optionsOf(page answer) string {
	s.t.Helper()
	found := regexp.MustCompile(`data-options="([^"]+)"`).FindStringSubmatch(page.text)
	if found == nil {
		s.t.Fatalf("no passkey is asked for in %d\n%s", page.status, page.text)
	}
	return unescaped(found[1])
}

// answers sends the form of a passkey with an answer, and values for its visible fields.
func (b *testBrowser) answers(page answer, text string, fields ...string) answer {
	b.s.t.Helper()
	action := regexp.MustCompile(`<form method="post" action="([^"]+)" data-passkey`).FindStringSubmatch(page.text)
	if action == nil {
		b.s.t.Fatalf("no form of a passkey in %d\n%s", page.status, page.text)
	}
	values := url.Values{"passkey": {text}}
	hidden := regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`)
	for _, m := range hidden.FindAllStringSubmatch(page.text, -1) {
		values.Set(m[1], unescaped(m[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return b.do(pageForm(action[1], values))
}

// addPasskey adds the passkey of the device on the account page, with another browser.
func (s *passkeySite) addPasskey() {
	s.t.Helper()
	b := s.newBrowser()
	b.form(b.visit("/account/second-factors/new-passkey"), "username", john, "password", password)
	page := b.visit("/account/second-factors/new-passkey")
	s.keepCodes(b.answers(page, s.device.Create(s.optionsOf(page)), "password", password))
}

// loginPage opens the login page for codeApp with a new browser.
func (s *passkeySite) loginPage(changes ...string) answer {
	s.t.Helper()
	s.testBrowser = s.newBrowser()
	return s.visit("/authorize?" + codeRequest(changes...).Encode())
}

// passkeyLogin logs in without a password, with a new browser.
func (s *passkeySite) passkeyLogin(changes ...string) answer {
	s.t.Helper()
	page := s.loginPage(changes...)
	return s.answers(page, s.device.Get(s.optionsOf(page)))
}

// passkeyStep uses the passkey in a second step, with a new browser.
func (s *passkeySite) passkeyStep() answer {
	s.t.Helper()
	page := s.newLogin()
	return s.answers(page, s.device.Get(s.optionsOf(page)))
}

// methods returns the authentication methods of the browser's session.
func (s *passkeySite) methods() string {
	s.t.Helper()
	_, login, err := s.data.SessionUser(s.t.Context(), secret.Digest(s.cookies["__Host-hallpass"]), s.clock())
	s.must(err)
	return strings.Join(login.Methods, " ")
}

// A passkey is registered on the account page, with the options that section 5.4 has.
func TestRegisterPasskey(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	other := s.newBrowser()
	other.arrives("another browser", other.password())
	s.arrives("this browser", s.password())
	page := s.visit("/account/second-factors/new-passkey")
	options := s.optionsOf(page)
	for _, want := range []string{`"attestation":"none"`, `"rp":{"name":"login.example","id":"login.example"}`,
		`"residentKey":"preferred"`, `"userVerification":"preferred"`, `"timeout":300000`} {
		if !strings.Contains(options, want) {
			t.Errorf("no %s in %s", want, options)
		}
	}
	answer := s.device.Create(options)
	for what, wrong := range map[string]string{
		"empty": "", "no JSON": "{", "no answer": "{}", "a login": s.device.Get(options),
		"cut off": answer[:len(answer)/2], "no CBOR": strings.Replace(answer, "o2NmbXRkbm9uZ", "o2NmbXRkbm9uA", 1),
	} {
		s.answers(page, wrong, "password", password).says(what, http.StatusBadRequest, "This passkey was not accepted")
	}
	s.do(pageForm("/account/second-factors/new-passkey", url.Values{
		"user": {s.userID(john)}, "password": {password}, "passkey": {answer + strings.Repeat(" ", 20<<10)},
	})).says("too long", http.StatusBadRequest, "could not be read")
	s.visit("/account/second-factors").says("nothing is added", http.StatusOK, "password only")

	wrong := s.answers(page, answer, "password", "another password")
	wrong.says("a wrong password", http.StatusBadRequest, "The password is wrong.")
	s.answers(page, answer).says("no password", http.StatusBadRequest, "The password is wrong.")
	s.keepCodes(s.answers(wrong, s.device.Create(s.optionsOf(wrong)), "password", password))
	s.visit("/account/second-factors").says("the page", http.StatusOK, "without the password")
	other.visit("/account").says("another browser", http.StatusOK, `action="/account/login"`)
	if got := s.methods(); got != "pwd hwk user mfa" {
		t.Errorf("methods %s", got)
	}
	s.answers(page, answer).says("the form again", http.StatusBadRequest, "open for too long") // the cookie has changed
	page = s.visit("/account/second-factors/new-passkey")
	if options := s.optionsOf(page); !strings.Contains(options, "excludeCredentials") {
		t.Errorf("the passkey is not excluded: %s", options)
	}
	again := s.answers(page, s.device.Create(s.optionsOf(page)))
	again.says("the same passkey", http.StatusBadRequest, "already registered")
}

// The pages with a passkey, and only they, have the script of this server (CSP Level 3).
func TestScriptOfPasskeys(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	script := func(what string, page answer, want bool) {
		t.Helper()
		policy := page.header.Get("Content-Security-Policy")
		if strings.Contains(policy, "script-src 'self'; ") != want || strings.Contains(policy, "unsafe") ||
			strings.Contains(page.text, `<script src="/passkey.js" defer></script>`) != want ||
			strings.Count(page.text, "<script") > 1 || !strings.HasPrefix(policy, "default-src 'none'; ") {
			t.Errorf("%s: %s\n%s", what, policy, page.text)
		}
	}
	script("login", s.loginPage(), true)
	script("device login", s.visit("/device"), true)
	script("account login", s.visit("/account"), true)
	script("second step", s.secondStep(), true)
	script("recovery code", s.visit("/login/recovery-code"), false)
	s.arrives("the login", s.passkeyLogin())
	script("account", s.visit("/account"), false)
	script("second factors", s.visit("/account/second-factors"), false)
	script("new passkey", s.visit("/account/second-factors/new-passkey"), true)
	js := s.visit("/passkey.js")
	if got := js.header.Get("Content-Type"); js.status != http.StatusOK || !strings.HasPrefix(got, "text/javascript") {
		t.Errorf("%d %s", js.status, got)
	}
	plain := newFactorSite(t)
	script("login without passkeys", plain.visit("/authorize?"+codeRequest().Encode()), false)
}

func TestPasskeyAsSecondStep(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	page := s.secondStep()
	page.says("the page", http.StatusOK, `href="/login/recovery-code"`)
	page.says("without JavaScript", http.StatusOK, "needs JavaScript")
	s.visit("/account").says("the account without the step", http.StatusOK, `action="/account/login"`)
	answer := s.device.Get(s.optionsOf(page))
	s.arrives("the passkey", s.answers(page, answer))
	if got := s.methods(); got != "pwd hwk user mfa" {
		t.Errorf("methods %s", got)
	}
	s.answers(page, answer).says("replayed", http.StatusBadRequest, "Please start again")
	page = s.newLogin()
	s.answers(page, answer).says("replayed in another login", http.StatusBadRequest, "open for too long")
	s.wait(passkey.ChallengeLifetime)
	s.answers(page, s.device.Get(s.optionsOf(page))).says("late", http.StatusBadRequest, "open for too long")
	s.arrives("in time", s.passkeyStep())

	page = s.newLogin()
	_, err := s.data.RemoveSecondFactors(t.Context(), john, s.clock())
	s.must(err)
	s.answers(page, s.device.Get(s.optionsOf(page))).says("removed meanwhile", http.StatusBadRequest, "Please start again")
	s.passkeyLogin().says("removed", http.StatusBadRequest, "not accepted")
	s.arrives("the password alone", s.passwordOf(s.newBrowser()))
}

// passwordOf logs in with the password in another browser.
func (s *passkeySite) passwordOf(b *testBrowser) answer {
	s.t.Helper()
	s.testBrowser = b
	return s.password()
}

// A passkey in place of the password counts as two factors, everywhere where one can log in.
func TestPasskeyWithoutPassword(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.device.Flags |= passkeytest.BackupEligible | passkeytest.BackedUp
	s.addPasskey()
	page := s.loginPage()
	page.says("the page", http.StatusOK, `autocomplete="username webauthn"`)
	if options := s.optionsOf(page); !strings.Contains(options, `"userVerification":"required"`) ||
		strings.Contains(options, "allowCredentials") {
		t.Errorf("options %s", options)
	}
	s.arrives("the passkey", s.answers(page, s.device.Get(s.optionsOf(page))))
	if got := s.methods(); got != "swk user mfa" { // RFC 8176 section 2
		t.Errorf("methods %s", got)
	}
	s.arrives("two factors", s.visit("/authorize?"+codeRequest("acr_values", "2").Encode()))
	if log := s.log.String(); !strings.Contains(log, "method=passkey") {
		t.Errorf("the log does not say how:\n%s", log)
	}
	for _, path := range []string{"/account", "/device"} {
		s.testBrowser = s.newBrowser()
		page := s.visit(path)
		s.follow(s.answers(page, s.device.Get(s.optionsOf(page)))).lacks(path, `type="password"`)
	}
	// It confirms that the user is there, as the password does.
	s.wait(16 * time.Minute)
	page = s.visit("/account/second-factors")
	page.says("an old login", http.StatusOK, "Log in again to continue.")
	s.answers(page, s.device.Get(s.optionsOf(page))).leadsTo("confirmed", "/account/second-factors")
	s.visit("/account/second-factors").says("confirmed", http.StatusOK, "Remove")
	data := s.do(pageForm("/account/data", url.Values{"user": {s.userID(john)}}))
	data.says("the copy of the data", http.StatusOK, `"kind": "passkey"`)
	data.lacks("the copy of the data", "public_key")
}

// Servers of one database accept the challenges of each other, and an answer wins once.
func TestAnswerOfPasskeyWinsOnce(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	page := s.loginPage()
	answer := s.device.Get(s.optionsOf(page))
	cfg := s.config()
	withPasskeys(t)(&cfg)
	cfg.Registry = prometheus.NewRegistry()
	replica := web.New(cfg)
	handlers := []http.Handler{s.handler, replica, s.handler, replica}
	statuses := make([]int, len(handlers))
	var all sync.WaitGroup
	for i, h := range handlers {
		all.Go(func() {
			r := pageForm("/login", url.Values{"passkey": {answer}, "continue": {codeRequest().Encode()}})
			r.AddCookie(&http.Cookie{Name: "__Host-hallpass_passkey", Value: s.cookies["__Host-hallpass_passkey"]})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			statuses[i] = w.Code
		})
	}
	all.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusSeeOther {
			won++
		} else if status != http.StatusBadRequest {
			t.Errorf("status %d", status)
		}
	}
	if won != 1 {
		t.Errorf("%d logins with one answer: %v", won, statuses)
	}
}

// With an IP address in the issuer there are no passkeys, and the pages say why.
func TestNoPasskeysAtIPAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://127.0.0.1:9000", "http://[::1]:9000", "https://192.0.2.1"} {
		if _, err := passkey.New(passkey.Config{Issuer: address, Key: []byte("x")}); !errors.Is(err, passkey.ErrNoDomain) {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := newFactorSite(t)
	s.arrives("the password", s.password())
	s.visit("/account/second-factors").says("the page", http.StatusOK, "reached at an IP address")
	s.visit("/account/second-factors/new-passkey").says("the page", http.StatusBadRequest, "reached at an IP address")
	page := s.newBrowser().visit("/authorize?" + codeRequest().Encode())
	page.lacks("the login page", "data-passkey")
	s.newBrowser().form(page, "passkey", "{}").says("an answer", http.StatusBadRequest, "Wrong username or password")
}
