package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// RFC 8628 section 6.1: case and hyphens are forgiven.
func TestDevicePage(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	box := s.start("", basic(tvBox, s.secrets[tvBox]))
	bare := strings.ReplaceAll(d.UserCode, "-", "")
	for _, code := range []string{
		d.UserCode, bare, strings.ToLower(d.UserCode), " " + bare[:2] + " " + bare[2:] + ".", bare[:4] + "\u2013" + bare[4:],
	} {
		page := s.open(url.Values{"user_code": {code}}.Encode())
		page.says(code, http.StatusOK, d.UserCode)
		page.says(code, http.StatusOK, "Continue only if you started this")
	}
	policy := s.open("user_code=" + d.UserCode).header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.HasSuffix(policy, "form-action 'self'") ||
		!strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	s.open("").says("no code", http.StatusOK, "Enter the code")
	s.open("user_code="+box.UserCode).says("users of a first-party app are asked too", http.StatusOK, "Name of tv-box")
	for _, tt := range []struct{ what, query, says string }{
		{"a vowel", "user_code=BCDF-GHJA", "8 letters"},
		{"too short", "user_code=BCDF-GHJ", "8 letters"},
		{"too long", "user_code=BCDF-GHJKL", "8 letters"},
		{"oversized", "user_code=" + strings.Repeat("-", 3000), "8 letters"},
		{"markup", "user_code=%22%3E%3Cscript%3E", "&#34;&gt;&lt;script&gt;"},
		{"unknown", "user_code=BCDF-GHJK", "No device is showing"},
		{"given twice", "user_code=" + d.UserCode + "&user_code=" + d.UserCode, "could not be read"},
		{"malformed", "user_code=%zz", "could not be read"},
		{"not UTF-8", "user_code=%ff", "could not be read"},
		{"address too long", "x=" + strings.Repeat("x", 5000), "too long"},
	} {
		s.open(tt.query).says(tt.what, http.StatusBadRequest, tt.says)
	}
}

// Links of other sites cannot use up a user's tries.
func TestDeviceLinkOfOtherSite(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	open := func(site, code string) answer {
		r := withCookie(httptest.NewRequest(http.MethodGet, issuer+"/device?user_code="+code, nil), s.cookie)
		r.Header.Set("Sec-Fetch-Site", site)
		return s.serve(r)
	}
	for range 20 {
		for _, site := range []string{"cross-site", "same-site"} {
			open(site, "BCDF-GHJK").says(site, http.StatusOK, `value="BCDF-GHJK"`)
		}
	}
	open("cross-site", d.UserCode).says("valid code in a link", http.StatusOK, "Enter the code")
	open("same-origin", d.UserCode).says("our form", http.StatusOK, "Continue only if you started this")
	open("none", d.UserCode).says("scanned code", http.StatusOK, "Continue only if you started this")
	open("none", "BCDF-GHJK").says("wrong code", http.StatusBadRequest, "No device is showing")
}

// The page logs users in like the others, and goes on with the code.
func TestDeviceLogin(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	login := func(username, password, code string) answer {
		return s.serve(pageForm("/device/login", url.Values{
			"username": {username}, "password": {password}, "continue": {code},
		}))
	}
	s.serve(httptest.NewRequest(http.MethodGet, issuer+"/device?user_code="+d.UserCode, nil)).
		says("without a session", http.StatusOK, `name="continue" value="`+d.UserCode+`"`)
	s.open("prompt=login&user_code="+d.UserCode).says("as someone else", http.StatusOK, `action="/device/login"`)
	login(john, guess, d.UserCode).says("wrong password", http.StatusBadRequest, wrongPassword)
	login(john, guess, d.UserCode).says("the code stays", http.StatusBadRequest, `name="continue" value="`+d.UserCode+`"`)
	login("", "", "").says("nothing", http.StatusBadRequest, wrongPassword)
	got := login(john, password, d.UserCode)
	got.says("login", http.StatusSeeOther, "/device?user_code="+d.UserCode)
	s.cookie, _, _ = strings.Cut(got.header.Get("Set-Cookie"), ";")
	s.hide(s.cookie[strings.Index(s.cookie, "=")+1:])
	s.open("user_code="+d.UserCode).says("after the login", http.StatusOK, "Connect this device?")
	login(john, password, "https://evil.example/&x=y").says("login", http.StatusSeeOther, "/device?user_code=https%3A%2F%2Fevil")
}

// A decision counts only from our own page, in the session of the user who saw it.
func TestDeviceDecisionRefused(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	again := "/device?user_code=" + d.UserCode
	s.decide(d, "allow", "user", "usr_other").says("another user", http.StatusSeeOther, again)
	s.decide(d, "allow", "user", "").says("no user", http.StatusSeeOther, again)
	s.decide(d, "").says("no decision", http.StatusSeeOther, again)
	s.decide(d, "yes").says("an unknown decision", http.StatusSeeOther, again)
	s.decide(d, "allow", "user_code", "").says("no code", http.StatusBadRequest, "8 letters")
	r := pageForm("/device", url.Values{"user_code": {d.UserCode}, "user": {s.userID(john)}, "decision": {"allow"}})
	s.serve(r).says("no session", http.StatusSeeOther, again)
	r = pageForm("/device", url.Values{"user_code": {d.UserCode}, "user": {s.userID(john)}, "decision": {"allow"}})
	r.Header.Set("Origin", "https://evil.example")
	s.serve(withCookie(r, s.cookie)).says("another site", http.StatusForbidden, "another site")
	s.poll(d).expect("after all these", http.StatusBadRequest, oauth.CodeAuthorizationPending, "")
}

// RFC 8628 section 5.1: guesses are limited for a user at an address, whichever server they reach, and valid
// codes in between do not make room for more.
func TestUserCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	d := s.start("client_id=tv")
	replica := web.New(func() web.Config {
		cfg := s.config()
		cfg.Registry = prometheus.NewRegistry()
		return cfg
	}())
	handlers := []http.Handler{s.handler, replica}
	wrong := 0
	for i := range 12 {
		s.handler = handlers[i%2]
		if i%3 == 2 {
			s.open("user_code="+d.UserCode).says("a valid code", http.StatusOK, "Connect this device?")
			continue
		}
		s.open("user_code=BCDFGHJK").says("guess "+strconv.Itoa(wrong), http.StatusBadRequest, "No device is showing")
		wrong++
	}
	for range 2 {
		s.open("user_code=BCDFGHJK").says("another guess", http.StatusBadRequest, "No device is showing")
	}
	for _, handler := range handlers {
		s.handler = handler
		throttled := s.open("user_code=" + d.UserCode)
		throttled.says("too many", http.StatusTooManyRequests, "Too many failed attempts")
		if throttled.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		s.decide(d, "allow").says("a decision", http.StatusTooManyRequests, "Too many failed attempts")
	}
	s.open("user_code=BCD").says("what is no code", http.StatusBadRequest, "8 letters")
	s.wait(time.Hour)
	d = s.start("client_id=tv")
	s.open("user_code="+d.UserCode).says("later", http.StatusOK, "Connect this device?")
}
