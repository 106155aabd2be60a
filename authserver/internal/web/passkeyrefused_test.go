package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey/passkeytest"
)

const notAccepted = "This passkey was not accepted"

// Section 7.2: every step that fails refuses the login.
func TestPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	good := *s.device
	for what, change := range map[string]func(d *passkeytest.Device){
		"another origin":    func(d *passkeytest.Device) { d.Origin = "https://evil.example" },
		"another port":      func(d *passkeytest.Device) { d.Origin = issuer + ":8443" },
		"a subdomain":       func(d *passkeytest.Device) { d.Origin = "https://a.login.example" },
		"plain http":        func(d *passkeytest.Device) { d.Origin = "http://login.example" },
		"another RP ID":     func(d *passkeytest.Device) { d.RPID = "example" },
		"another user":      func(d *passkeytest.Device) { d.UserHandle = []byte(s.userID(disabled)) },
		"an unknown user":   func(d *passkeytest.Device) { d.UserHandle = []byte("nobody") },
		"no user":           func(d *passkeytest.Device) { d.UserHandle = nil },
		"a user with a NUL": func(d *passkeytest.Device) { d.UserHandle = []byte("a\x00b") },
		"a long user":       func(d *passkeytest.Device) { d.UserHandle = []byte(strings.Repeat("x", 65)) },
		"an unknown passkey": func(d *passkeytest.Device) {
			d.ID = []byte("another passkey")
		},
		"another key": func(d *passkeytest.Device) {
			id, handle := d.ID, d.UserHandle
			*d = *passkeytest.New(t, issuer, "login.example")
			d.ID, d.UserHandle, d.Counter = id, handle, 99
		},
		"no user verification": func(d *passkeytest.Device) { d.Flags &^= passkeytest.UserVerified },
		"no user presence":     func(d *passkeytest.Device) { d.Flags &^= passkeytest.UserPresent },
		"a copy in a cloud": func(d *passkeytest.Device) {
			d.Flags |= passkeytest.BackupEligible | passkeytest.BackedUp // section 7.2 step 21
		},
		"a copy that cannot be": func(d *passkeytest.Device) { d.Flags |= passkeytest.BackedUp },
		"a registration": func(d *passkeytest.Device) {
			d.ClientData = func(data map[string]any) { data["type"] = "webauthn.create" }
		},
		"in a frame of another site": func(d *passkeytest.Device) {
			d.ClientData = func(data map[string]any) { data["crossOrigin"] = true }
		},
	} {
		*s.device = good
		change(s.device)
		s.passkeyLogin().says(what, http.StatusBadRequest, notAccepted)
		s.visit("/account").says(what, http.StatusOK, `action="/account/login"`)
		s.wait(time.Minute) // there is a limit
	}
	*s.device = good
	s.arrives("the passkey itself", s.passkeyLogin())
	for _, want := range []string{"Error validating origin", "wrong passkey", "unknown passkey"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// A challenge belongs to one browser, one purpose and a few minutes (section 13.4.3).
func TestChallengesOfPasskeys(t *testing.T) {
	t.Parallel()
	const tooOld = "open for too long"
	s := newPasskeySite(t)
	s.addPasskey()
	page := s.loginPage()
	s.answers(s.loginPage(), s.device.Get(s.optionsOf(page))).says("of another browser", http.StatusBadRequest, tooOld)
	s.newBrowser().answers(page, s.device.Get(s.optionsOf(page))).says("without a cookie", http.StatusBadRequest, tooOld)
	for what, options := range map[string]string{
		"made up": `{"challenge":"` + strings.Repeat("A", 75) + `"}`, "empty": `{"challenge":""}`, "short": `{"challenge":"AAAA"}`,
	} {
		s.answers(page, s.device.Get(options)).says(what, http.StatusBadRequest, tooOld)
	}
	step := s.secondStep()
	s.answers(s.visit("/device"), s.device.Get(s.optionsOf(step))).says("of a second step", http.StatusBadRequest, tooOld)
	s.answers(step, s.device.Get(s.optionsOf(s.visit("/device")))).says("of a login", http.StatusBadRequest, tooOld)

	page = s.loginPage()
	answer := s.device.Get(s.optionsOf(page))
	s.wait(passkey.ChallengeLifetime)
	fresh := s.answers(page, answer)
	fresh.says("late", http.StatusBadRequest, tooOld)
	fresh.lacks("late", "aria-invalid")
	answer = s.device.Get(s.optionsOf(fresh))
	s.arrives("again", s.answers(fresh, answer))
	again := s.visit("/authorize?" + codeRequest("prompt", "login").Encode())
	s.answers(again, answer).says("replayed", http.StatusBadRequest, tooOld)
	s.arrives("it is no copy", s.passkeyLogin())
}

func TestMalformedAnswersOfPasskeys(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	page := s.loginPage()
	for _, text := range []string{
		" ", "null", "[]", "{}", `{"id":"AA","rawId":"AA","type":"public-key"}`, "\xff", strings.Repeat("[", 5000),
		s.device.Create(`{"challenge":"AA","user":{"id":"AA"}}`),
		`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA"}}`,
	} {
		a := s.answers(page, text)
		if a.status != http.StatusBadRequest {
			t.Errorf("%.40q: %d\n%s", text, a.status, a.text)
		}
		s.wait(time.Minute)
	}
}

// A signature counter that goes back means that there is a copy (section 6.1.1): nobody logs in with it any longer.
func TestCopiedPasskey(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.device.Counter = 10
	s.addPasskey()
	stolen := *s.device // at 11
	s.arrives("the owner", s.passkeyLogin())
	s.arrives("the owner again", s.passkeyStep())
	mine := *s.device // at 13
	*s.device = stolen
	s.passkeyLogin().says("the copy", http.StatusBadRequest, "there may be a copy of it")
	*s.device = mine
	s.passkeyLogin().says("the owner", http.StatusBadRequest, "there may be a copy of it")
	s.passkeyStep().says("the owner", http.StatusBadRequest, "there may be a copy of it")
	s.arrives("a recovery code", s.form(s.visit("/login/recovery-code"), "code", s.codes[0]))
	s.visit("/account/second-factors").says("the page", http.StatusOK, "There may be a copy of it")
	stored, err := s.data.RemainderOf(t.Context(), s.userID(john))
	s.must(err)
	mails := 0
	for _, m := range stored.Mails {
		if m.Kind == string(mail.PasskeyCopied) {
			mails++
		}
	}
	if mails != 1 {
		t.Errorf("%d mails, want 1", mails)
	}
	*s.device = *passkeytest.New(t, issuer, "login.example")
	page := s.visit("/account/second-factors/new-passkey")
	s.answers(page, s.device.Create(s.optionsOf(page))).leadsTo("another one", "/account/second-factors?done=factor")
	s.arrives("another one", s.passkeyLogin())
}

// Some devices do not count: their counter is always 0.
func TestPasskeyWithoutCounter(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.device.Counter, s.device.Step = 0, 0
	s.addPasskey()
	s.arrives("the first login", s.passkeyLogin())
	page := s.loginPage()
	answer := s.device.Get(s.optionsOf(page))
	s.arrives("the second login", s.answers(page, answer))
	s.answers(page, answer).says("replayed", http.StatusBadRequest, "open for too long")
	s.arrives("the second step", s.passkeyStep())
}

// A passkey without a PIN is a second factor only. Somebody who finds it could set a PIN, so a PIN counts once it was
// used after the password (section 7.2 step 25).
func TestPasskeyWithoutVerification(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.device.Flags = passkeytest.UserPresent
	s.addPasskey()
	s.arrives("the second step", s.passkeyStep())
	s.device.Flags |= passkeytest.UserVerified
	s.passkeyLogin().says("a new PIN", http.StatusBadRequest, "works only after your password")
	s.arrives("the second step with the PIN", s.passkeyStep())
	s.device.Flags = passkeytest.UserPresent
	s.arrives("the second step without it", s.passkeyStep())
	s.device.Flags |= passkeytest.UserVerified
	s.arrives("without the password", s.passkeyLogin())
}

func TestPasskeyOfUserWhoMayNotLogIn(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	step := s.newLogin()
	browser := s.testBrowser
	s.must(s.data.DisableUser(t.Context(), john, s.clock()))
	s.passkeyLogin().says("disabled", http.StatusBadRequest, notAccepted)
	browser.answers(step, s.device.Get(s.optionsOf(step))).says("disabled", http.StatusBadRequest, "Please start again")
	s.must(s.data.DeleteUser(t.Context(), john, s.clock()))
	s.passkeyLogin().says("deleted", http.StatusBadRequest, notAccepted)
}

// Wrong answers with a passkey of the user are throttled like wrong codes. Others do not count against the user, whose
// id every client knows.
func TestWrongPasskeysAreThrottled(t *testing.T) {
	t.Parallel()
	s := newPasskeySite(t)
	s.addPasskey()
	good := *s.device
	s.device.ID = []byte("made up")
	for range 8 {
		s.passkeyLogin().says("made up", http.StatusBadRequest, notAccepted)
	}
	*s.device = good
	s.arrives("the user", s.passkeyLogin())
	good = *s.device
	s.device.RPID = "evil.example"
	for range 10 {
		s.passkeyLogin().says("wrong", http.StatusBadRequest, notAccepted)
	}
	s.passkeyLogin().says("too often", http.StatusTooManyRequests, "Too many failed attempts")
	*s.device = good
	s.wait(time.Minute)
	s.arrives("later", s.passkeyLogin())
}
