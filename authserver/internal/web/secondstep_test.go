package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// factorSite is a site with a browser, whose user has an app that shows codes once addApp was called.
type factorSite struct {
	*site
	*testBrowser
	secret string   // of the app
	codes  []string // recovery codes
}

// testBrowser keeps cookies.
type testBrowser struct {
	s       *site
	cookies map[string]string
}

func newFactorSite(t *testing.T, change ...func(*web.Config)) *factorSite {
	t.Helper()
	s := &factorSite{site: newSite(t, change...)}
	s.addCodeApp()
	s.testBrowser = s.newBrowser()
	return s
}

func (s *site) newBrowser() *testBrowser { return &testBrowser{s: s, cookies: map[string]string{}} }

// do sends a request with the cookies of the browser, and keeps those of the response.
func (b *testBrowser) do(r *http.Request) answer {
	b.s.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
	}
	a := b.s.serve(r)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
		if c.Value != "" {
			b.s.hide(c.Value)
		}
	}
	return a
}

// visit opens a page.
func (b *testBrowser) visit(path string) answer {
	b.s.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, issuer+path, nil))
}

// form sends the form of a page, which the browser shows, with values for its visible fields.
func (b *testBrowser) form(page answer, fields ...string) answer {
	b.s.t.Helper()
	action := regexp.MustCompile(`<form method="post" action="([^"]+)"`).FindStringSubmatch(page.text)
	if action == nil {
		b.s.t.Fatalf("no form in %d\n%s", page.status, page.text)
	}
	values := url.Values{}
	hidden := regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`)
	for _, m := range hidden.FindAllStringSubmatch(page.text, -1) {
		values.Set(m[1], unescaped(m[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return b.do(pageForm(action[1], values))
}

func unescaped(text string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`).Replace(text)
}

// password sends the login page's form for codeApp.
func (b *testBrowser) password(changes ...string) answer {
	b.s.t.Helper()
	page := b.visit("/authorize?" + codeRequest(changes...).Encode())
	return b.form(page, "username", john, "password", password)
}

// follow opens where a redirect leads.
func (b *testBrowser) follow(a answer) answer {
	b.s.t.Helper()
	if a.status != http.StatusSeeOther {
		b.s.t.Fatalf("%d, want a redirect\n%s", a.status, a.text)
	}
	location := strings.TrimPrefix(a.header.Get("Location"), issuer)
	if !strings.HasPrefix(location, "/") {
		b.s.t.Fatalf("a redirect to %s", location)
	}
	return b.visit(location)
}

// secondStep sends the password and returns the page of the second step.
func (b *testBrowser) secondStep(changes ...string) answer {
	b.s.t.Helper()
	return b.follow(b.follow(b.password(changes...)))
}

// arrives checks that a response, or where it leads, sends the browser to the app with a code.
func (b *testBrowser) arrives(what string, a answer) {
	b.s.t.Helper()
	if strings.HasPrefix(a.header.Get("Location"), "/") {
		a = b.follow(a)
	}
	if !strings.Contains(a.header.Get("Location"), "https://app.example/back?code=") {
		b.s.t.Errorf("%s: %d to %q, want a code\n%s", what, a.status, a.header.Get("Location"), a.text)
	}
}

// code returns the code that the app shows some steps from now.
func (s *factorSite) code(steps int) string {
	s.t.Helper()
	code, err := totp.GenerateCode(s.secret, s.clock().Add(time.Duration(steps)*30*time.Second))
	s.must(err)
	return code
}

// keep reads the secret of the page for a new app, as a person does who types it.
func (s *factorSite) keep(page answer) {
	s.t.Helper()
	found := regexp.MustCompile(`<p class="key"><code>([A-Z2-7 ]+)</code>`).FindStringSubmatch(page.text)
	if found == nil {
		s.t.Fatalf("no key in %d\n%s", page.status, page.text)
	}
	s.secret = strings.ReplaceAll(found[1], " ", "")
	page.says("the link for an app", page.status,
		`href="otpauth://totp/login.example:john.doe?secret=`+s.secret+`&amp;issuer=login.example"`)
	s.hide(s.secret)
}

// keepCodes reads the recovery codes of a page.
func (s *factorSite) keepCodes(page answer) {
	s.t.Helper()
	s.codes = nil
	for _, m := range regexp.MustCompile(`<li><code>([0-9a-z-]+)</code>`).FindAllStringSubmatch(page.text, -1) {
		s.codes = append(s.codes, m[1])
		s.hide(m[1])
	}
	if len(s.codes) != 10 || len(slices.Compact(slices.Sorted(slices.Values(s.codes)))) != 10 {
		s.t.Fatalf("%d recovery codes in %d\n%s", len(s.codes), page.status, page.text)
	}
}

// addApp adds an app on the account page with another browser, and waits until its code was shown.
func (s *factorSite) addApp() {
	s.t.Helper()
	b := s.newBrowser()
	b.form(b.visit("/account/second-factors/new-app"), "username", john, "password", password)
	page := b.visit("/account/second-factors/new-app")
	s.keep(page)
	s.keepCodes(b.form(page, "code", s.code(0), "password", password))
	s.wait(time.Minute)
}

// A login of a user with a second factor takes two steps, and there is no session in between (RFC 6238).
func TestSecondStep(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	page := s.secondStep()
	page.says("the page of the code", http.StatusOK, `action="/login/code"`)
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https:") {
		t.Errorf("the form may not lead to the app: %s", policy)
	}
	// The next pages, without the step.
	s.visit("/authorize?"+codeRequest().Encode()).says("authorize without the step", http.StatusOK, `action="/login"`)
	s.visit("/account").says("the account without the step", http.StatusOK, `action="/account/login"`)
	s.visit("/device").says("the device page without the step", http.StatusOK, `action="/device/login"`)
	s.visit("/login/new-app").leadsTo("another app without the step", "/login/second-step")

	wrong := s.form(page, "code", "000000")
	wrong.says("a wrong code", http.StatusBadRequest, "This code is not valid")
	wrong.says("a wrong code", http.StatusBadRequest, "<title>Error: ")
	s.arrives("the right code", s.form(wrong, "code", s.code(0)))
	s.visit("/account").says("the account", http.StatusOK, "Your account")
}

// RFC 6238 section 5.2: a clock may be one step off, and a code works once.
func TestCodesOfOtherSteps(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	for _, steps := range []int{-2, 2, -1000} {
		s.form(s.secondStep(), "code", s.code(steps)).says("a code of another step", http.StatusBadRequest, "not valid")
	}
	s.arrives("behind by a step", s.form(s.newLogin(), "code", s.code(-1)))
	s.arrives("spaces in it", s.form(s.newLogin(), "code", s.code(0)[:3]+" "+s.code(0)[3:]))
	s.form(s.newLogin(), "code", s.code(0)).says("replayed", http.StatusBadRequest, "not valid")
	s.form(s.newLogin(), "code", s.code(-1)).says("the code before", http.StatusBadRequest, "not valid")
	s.arrives("ahead by a step", s.form(s.newLogin(), "code", s.code(1)))
	s.form(s.newLogin(), "code", s.code(1)).says("replayed", http.StatusBadRequest, "not valid")
	s.wait(time.Hour)
	s.form(s.newLogin(), "code", s.code(-1)).lacks("later", "not valid")
}

// newLogin begins a login with another browser.
func (s *factorSite) newLogin() answer {
	s.t.Helper()
	s.testBrowser = s.newBrowser()
	return s.secondStep()
}

func TestRecoveryCode(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	s.secondStep().says("the page of the code", http.StatusOK, `href="/login/recovery-code"`)
	page := s.visit("/login/recovery-code")
	page.says("the page", http.StatusOK, `href="/login/code"`)
	s.form(page, "code", "0000-0000-0000-0000").says("a wrong one", http.StatusBadRequest, "not valid")
	s.arrives("a recovery code", s.form(page, "code", " "+strings.ToUpper(s.codes[3])+" "))
	for _, used := range []string{s.codes[3], strings.ReplaceAll(s.codes[3], "-", "")} {
		s.newLogin()
		s.form(s.visit("/login/recovery-code"), "code", used).says("used before", http.StatusBadRequest, "not valid")
	}
	s.arrives("another one", s.form(s.visit("/login/recovery-code"), "code", s.codes[4]))
	s.visit("/account/second-factors").says("what is left", http.StatusOK, "You have 8 left")
}

// A login that waits for its second step belongs to one browser, ends after a while, and with what it rests on.
func TestPendingLoginEnds(t *testing.T) {
	t.Parallel()
	again := func(s *factorSite, what string, a answer) {
		t.Helper()
		a.says(what, http.StatusBadRequest, "Please start again")
		s.visit("/account").says(what, http.StatusOK, `action="/account/login"`)
	}
	s := newFactorSite(t)
	s.addApp()
	page := s.secondStep()
	other := s.newBrowser()
	other.form(page, "code", s.code(0)).says("another browser", http.StatusBadRequest, "Please start again")
	other.visit("/login/code").says("another browser", http.StatusBadRequest, "Please start again")
	theirs := other.secondStep()
	other.form(page, "code", s.code(0)).says("the form of another login", http.StatusBadRequest, "Please start again")
	other.arrives("the own form", other.form(theirs, "code", s.code(0)))

	s.wait(10 * time.Minute)
	again(s, "too late", s.form(page, "code", s.code(0)))

	page = s.secondStep()
	for i := range 5 {
		s.waitForMail(mail.WrongCodes, 0)
		s.form(page, "code", "000000").says("guess "+strconv.Itoa(i), http.StatusBadRequest, "not valid")
	}
	s.waitForMail(mail.WrongCodes, 1)
	again(s, "guessed too often", s.form(page, "code", s.code(0)))

	page = s.secondStep()
	s.must(s.data.SetPassword(t.Context(), john, "$2a$04$"+strings.Repeat("x", 53), s.clock()))
	again(s, "another password", s.form(page, "code", s.code(0)))
}

func TestPendingLoginEndsWithTheFactor(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	page := s.secondStep()
	_, err := s.data.RemoveSecondFactors(t.Context(), john, s.clock())
	s.must(err)
	s.form(page, "code", s.code(0)).says("removed meanwhile", http.StatusBadRequest, "Please start again")
	s.arrives("the password alone", s.password())
	s.wait(time.Hour)

	s.testBrowser = s.newBrowser()
	s.addApp()
	page = s.secondStep()
	s.must(s.data.DisableUser(t.Context(), john, s.clock()))
	s.form(page, "code", s.code(0)).says("disabled meanwhile", http.StatusBadRequest, "Please start again")
}

// Guesses of codes count by account and address, whichever logins they belong to.
func TestGuessedCodesAreThrottled(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	for range 2 {
		page := s.newLogin()
		for range 5 {
			s.form(page, "code", "000000").says("guessed", http.StatusBadRequest, "not valid")
		}
	}
	page := s.newLogin()
	s.form(page, "code", s.code(0)).says("the eleventh", http.StatusTooManyRequests, "Too many failed attempts")
	s.wait(2 * time.Second)
	s.arrives("later", s.form(page, "code", s.code(0)))
	page = s.newLogin()
	s.form(page, "code", "000000").says("the count begins again", http.StatusBadRequest, "not valid")
}

// A guesser who begins again with the password before a login has no tries left does not escape the user's notice.
func TestMailAboutThrottledCodes(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	for _, guesses := range []int{4, 4, 2} {
		page := s.newLogin()
		for range guesses {
			s.form(page, "code", "000000").says("guessed", http.StatusBadRequest, "not valid")
		}
	}
	s.waitForMail(mail.WrongCodes, 0)
	page := s.newLogin()
	s.form(page, "code", "000000").says("the eleventh", http.StatusTooManyRequests, "Too many failed attempts")
	s.waitForMail(mail.WrongCodes, 1)
	s.form(page, "code", s.code(0)).says("the twelfth", http.StatusTooManyRequests, "Too many failed attempts")
	s.waitForMail(mail.WrongCodes, 1) // one an hour
	s.expectSteps(map[string]float64{"wrong_code": 10, "throttled": 2})
}

// expectSteps checks how many second steps had which result.
func (s *site) expectSteps(want map[string]float64) {
	s.t.Helper()
	families, err := s.registry.Gather()
	s.must(err)
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if n := m.GetCounter().GetValue(); family.GetName() == "hallpass_second_steps_total" && n > 0 {
				got[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("second steps (-want +got):\n%s", diff)
	}
}

// A client can require a second factor. A user who has none adds one in the login, before there is a session.
func TestClientRequiresSecondFactor(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.arrives("the password alone", s.password())
	_, err := s.data.UpdateClient(t.Context(), codeApp, s.clock(), func(c client.Client) (client.Client, error) {
		c.RequireSecondFactor = true
		return c, nil
	})
	s.must(err)
	s.wait(time.Minute) // the client is remembered for a moment
	s.visit("/authorize?"+codeRequest().Encode()).says("the session with one factor", http.StatusOK, `action="/login"`)
	s.testBrowser = s.newBrowser()
	s.enrolInLogin("a client that requires it", s.secondStep())
	page := s.newLogin()
	page.says("the next login", http.StatusOK, `action="/login/code"`)
	s.arrives("the next login", s.form(page, "code", s.code(0)))
}

// enrolInLogin adds an app on the page of a login, and completes it.
func (s *factorSite) enrolInLogin(what string, page answer) {
	s.t.Helper()
	page.says(what, http.StatusOK, `action="/login/new-app"`)
	s.visit("/authorize?"+codeRequest("acr_values", "2").Encode()).says(what+": not yet", http.StatusOK, `action="/login"`)
	s.keep(page)
	wrong := s.form(page, "code", "000000", "name", "<My phone>")
	wrong.says(what+": a wrong code", http.StatusBadRequest, "not valid")
	wrong.says(what+": a wrong code", http.StatusBadRequest, `value="&lt;My phone&gt;"`)
	codes := s.form(wrong, "code", s.code(0))
	s.keepCodes(codes)
	found := regexp.MustCompile(`<a class="button" href="([^"]+)"`).FindStringSubmatch(codes.text)
	if found == nil {
		s.t.Fatalf("%s: no link in\n%s", what, codes.text)
	}
	s.arrives(what, s.visit(unescaped(found[1])))
	s.wait(time.Minute)
}

// RFC 9470 section 4: a client asks for a stronger login by acr_values.
func TestStepUp(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.arrives("the password alone", s.password())
	s.visit("/authorize?"+codeRequest("acr_values", "1 2").Encode()).
		says("one factor is enough", http.StatusSeeOther, "code=")
	s.visit("/authorize?"+codeRequest("acr_values", "2", "prompt", "none").Encode()).
		says("silently", http.StatusSeeOther, "error=login_required")
	s.enrolInLogin("acr_values", s.secondStep("acr_values", "2")) // the session with one factor goes on until then
	s.visit("/authorize?"+codeRequest("acr_values", "2").Encode()).says("two factors", http.StatusSeeOther, "code=")
	s.visit("/authorize?"+codeRequest("acr_values", "2", "max_age", "90").Encode()).
		says("the same", http.StatusSeeOther, "code=")
}

// The account page adds and removes second factors after a login within the last minutes, and ends other logins.
func TestAccountSecondFactors(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	other := s.newBrowser()
	other.arrives("another browser", other.password())
	s.arrives("this browser", s.password())
	s.wait(16 * time.Minute)
	page := s.visit("/account/second-factors/new-app")
	page.says("an old login", http.StatusOK, "Confirm that it is you")
	s.form(page, "username", john, "password", password).leadsTo("confirmed", "/account/second-factors/new-app")
	page = s.visit("/account/second-factors/new-app")
	s.keep(page)
	s.form(page, "code", "000000", "password", password).says("a wrong code", http.StatusBadRequest, "not valid")
	s.form(page, "code", s.code(0)).says("no password", http.StatusBadRequest, "The password is wrong.")
	wrong := s.form(page, "code", s.code(0), "name", "Phone", "password", "another password")
	wrong.says("a wrong password", http.StatusBadRequest, "The password is wrong.")
	s.visit("/account/second-factors").says("nothing is added", http.StatusOK, "password only")
	before := maps.Clone(s.cookies)
	s.keepCodes(s.form(wrong, "code", s.code(0), "name", "Phone", "password", password))
	if cmp.Equal(before, s.cookies) {
		t.Error("the session goes on under the same cookie")
	}
	s.visit("/account/second-factors").says("added", http.StatusOK, "Phone")
	s.visit("/account").says("the account", http.StatusOK, "Phone")
	other.visit("/account").says("another browser", http.StatusOK, `action="/account/login"`)
	s.form(page, "code", s.code(0)).lacks("the form again", "recovery code")

	page = s.visit("/account/second-factors")
	action := regexp.MustCompile(`name="factor" value="([^"]+)"`).FindStringSubmatch(page.text)
	remove := url.Values{"user": {s.userID(john)}, "factor": {action[1]}}
	s.wait(16 * time.Minute)
	s.do(pageForm("/account/second-factors/remove", remove)).leadsTo("an old login", "/account/second-factors")
	step := s.follow(s.follow(s.form(s.visit("/account/second-factors"), "username", john, "password", password)))
	s.form(step, "code", s.code(0)).leadsTo("both factors", "/account/second-factors")
	s.do(pageForm("/account/second-factors/remove", remove)).leadsTo("removed", "/account/second-factors?done=removed")
	s.visit("/account/second-factors").says("none", http.StatusOK, "password only")
	s.testBrowser = s.newBrowser()
	s.arrives("the password alone", s.password())
}
