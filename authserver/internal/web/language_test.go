package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
	"github.com/hallpass-auth/hallpass/authserver/internal/signup"
	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// logIn is the title of the login page in each language.
var logIn = map[string]string{"en": "Log in", "ko": "로그인", "de": "Anmelden", "es": "Iniciar sesión"}

// inLanguage sets Accept-Language.
func inLanguage(r *http.Request, language string) *http.Request {
	r.Header.Set("Accept-Language", language)
	return r
}

// speaks checks that a page is in a language.
func (a answer) speaks(t *testing.T, name, language, text string) {
	t.Helper()
	varies := strings.Contains(strings.Join(a.header["Vary"], ","), "Accept-Language")
	if a.header.Get("Content-Language") != language || !varies ||
		!strings.Contains(a.text, `<html lang="`+language+`">`) || !strings.Contains(a.text, text) {
		t.Errorf("%s: %d %v\n%s\nwant a page in %q with %q", name, a.status, a.header, a.text, language, text)
	}
}

// Pages are in the language that the app asks for (OpenID Connect Core section 3.1.2.1), or else in that of the browser
// (RFC 9110 section 12.5.4).
func TestLanguageOfLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	for _, tt := range []struct{ locales, header, want string }{
		{"", "", "en"},
		{"", "ko-KR,ko;q=0.9,en;q=0.8", "ko"},
		{"", "fr-FR,fr;q=0.9", "en"},
		{"de", "ko", "de"},
		{"de-AT", "", "de"},
		{"fr es en", "ko", "es"},
		{"se", "ko", "ko"},
		{"\"><script>", "es", "es"},
		{strings.Repeat("de-", 500), "es", "es"},
	} {
		page := s.serve(inLanguage(authorizeRequest("ui_locales", tt.locales), tt.header))
		page.speaks(t, tt.locales+" and "+tt.header, tt.want, "<title>"+logIn[tt.want]+"</title>")
		wrong := s.serve(inLanguage(loginFormOf(john, guess), tt.want))
		text := catalog.BuiltIn().Text(tt.want, catalog.Say(wrongPassword))
		wrong.speaks(t, "wrong password", tt.want, `role="alert">`+text)
	}
}

// languageCookie returns the cookie that a page has set for the pages that follow, or "".
func languageCookie(a answer) string {
	for _, cookie := range a.header["Set-Cookie"] {
		if strings.Contains(cookie, "_language=") {
			pair, _, _ := strings.Cut(cookie, ";")
			return pair
		}
	}
	return ""
}

// What an app has asked for holds for the pages that follow, until an app sends the browser without it.
func TestLanguageIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	asked := s.serve(inLanguage(authorizeRequest("ui_locales", "de"), "ko"))
	cookie := languageCookie(asked)
	if cookie != "__Host-hallpass_language=de" {
		t.Fatalf("got the cookie %q", cookie)
	}
	following := func(r *http.Request) answer { return s.serve(withCookie(inLanguage(r, "ko"), cookie)) }
	following(loginFormOf(john, guess)).speaks(t, "wrong password", "de", "Benutzername oder Passwort ist falsch.")
	for path, text := range map[string]string{
		"/device": "um ein Gerät zu verbinden", "/account": "um Ihr Konto zu sehen", "/logout": "Abgemeldet",
		"/login/code": "Bitte beginnen Sie noch einmal",
	} {
		following(httptest.NewRequest(http.MethodGet, issuer+path, nil)).speaks(t, path, "de", text)
	}
	again := following(authorizeRequest())
	again.speaks(t, "an app that asks for none", "ko", "<title>로그인</title>")
	if got := languageCookie(again); got != "__Host-hallpass_language=" {
		t.Errorf("the cookie is still there: %q", got)
	}
	s.serve(withCookie(inLanguage(httptest.NewRequest(http.MethodGet, issuer+"/account", nil), "ko"),
		"__Host-hallpass_language=xx")).speaks(t, "a cookie with something else", "ko", "내 계정")
	logout := httptest.NewRequest(http.MethodGet, issuer+"/end_session?ui_locales=es&client_id=nobody", nil)
	s.serve(inLanguage(logout, "ko")).speaks(t, "a logout that an app starts", "es", "Este enlace es incorrecto")
	if got := languageCookie(s.serve(inLanguage(authorizeRequest(), "ko"))); got != "" {
		t.Errorf("a cookie for the language of the browser: %q", got)
	}
}

// A pushed request has ui_locales where the browser does not see it (RFC 9126).
func TestLanguageOfPushedRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	pushed := s.serve(pageForm("/par", codeRequest("ui_locales", "es")))
	uri := stringIn(t, pushed.text, "request_uri")
	query := url.Values{"client_id": {codeApp}, "request_uri": {uri}}
	page := s.serve(inLanguage(httptest.NewRequest(http.MethodGet, issuer+"/authorize?"+query.Encode(), nil), "ko"))
	page.speaks(t, "pushed", "es", "<title>Iniciar sesión</title>")
	if got := languageCookie(page); got != "__Host-hallpass_language=es" {
		t.Errorf("got the cookie %q", got)
	}
}

// stringIn returns the value of a member of a JSON object.
func stringIn(t *testing.T, object, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(object, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no %s in %s", name, object)
	}
	return value
}

// Mails are in the language of the page where they were asked for. Those about what happened to a user are in the
// language of the user's last login.
func TestLanguageOfMails(t *testing.T) {
	t.Parallel()
	s := newMailSite(t, signup.Policy{Mode: signup.Open})
	subject := func(r *http.Request) string {
		t.Helper()
		s.serve(r)
		sent := s.sendMails()
		if len(sent) != 1 {
			t.Fatalf("%d mails", len(sent))
		}
		return sent[0].Subject
	}
	forgot := func() *http.Request { return pageForm("/forgot", url.Values{"username": {john}}) }
	for language, want := range map[string]string{
		"en": "Choose a new password for login.example", "ko": "login.example 비밀번호 재설정",
		"de": "Neues Passwort für login.example wählen", "es": "Elija una contraseña nueva para login.example",
	} {
		if got := subject(inLanguage(forgot(), language)); got != want {
			t.Errorf("%s: got %q, want %q", language, got, want)
		}
		s.wait(mail.NamePeriod) // there is a limit
	}
	ada := inLanguage(pageForm("/signup", url.Values{"email": {"ada@example.com"}}), "de")
	if got, want := subject(ada), "Ihr Konto bei login.example erstellen"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.serve(inLanguage(loginForm(), "ko"))
	s.sendMails() // about the new device
	s.must(s.data.SetPassword(t.Context(), john, "hash", s.clock()))
	const changed = "login.example 비밀번호가 변경되었습니다"
	if sent := s.sendMails(); len(sent) != 1 || sent[0].Subject != changed || sent[0].Language != "ko" {
		t.Errorf("got the mails %+v", sent)
	}
}

// The metadata says which languages there are (OpenID Connect Discovery section 3).
func TestUILocalesSupported(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, "EdDSA")
	got := s.serve(httptest.NewRequest(http.MethodGet, issuer+"/.well-known/openid-configuration", nil))
	if !strings.Contains(got.text, `"ui_locales_supported":["en","ko","de","es"]`) {
		t.Errorf("got %s", got.text)
	}
}

// The default language is for people who read none of the others. Errors for programs stay in English.
func TestDefaultLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Language = "de" })
	home := httptest.NewRequest(http.MethodGet, issuer+"/", nil)
	s.serve(inLanguage(home, "fr")).speaks(t, "home", "de", "Anmeldedienst")
	missing := httptest.NewRequest(http.MethodGet, issuer+"/nothing", nil)
	missing.Header.Set("Accept", "text/html")
	s.serve(missing).speaks(t, "no page", "de", "Seite nicht gefunden")
	got := s.serve(inLanguage(pageForm("/token", url.Values{"username": {john}, "password": {guess}}), "ko"))
	if !strings.Contains(got.text, "Incorrect username or password") || got.header.Get("Content-Language") != "" {
		t.Errorf("got %v %s", got.header, got.text)
	}
}

// A theme changes the name, the logo, the colors and the texts of all pages. A logo cannot run anything.
func TestTheme(t *testing.T) {
	t.Parallel()
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="4"/></svg>`
	folder := t.TempDir()
	for name, text := range map[string]string{
		"theme.json": `{"name": "Acme & Sons", "colors": {"light": {"accent": "#7a1f5c"}}}`,
		"logo.svg":   svg,
		"en.json":    `{"Log in": "Sign <in>"}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look, err := theme.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(cfg *web.Config) { cfg.Theme = look })
	s.addCodeApp()
	s.serve(authorizeRequest()).speaks(t, "login", "en", "<title>Sign &lt;in&gt; - Acme &amp; Sons</title>")
	s.serve(authorizeRequest()).speaks(t, "login", "en", `<img src="/logo" alt="Acme &amp; Sons">`)
	logo := s.serve(httptest.NewRequest(http.MethodGet, issuer+"/logo", nil))
	if logo.text != svg || logo.header.Get("Content-Type") != "image/svg+xml" ||
		logo.header.Get("Cache-Control") != "public, max-age=3600" ||
		logo.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(logo.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("got the logo %v %s", logo.header, logo.text)
	}
	style := s.serve(httptest.NewRequest(http.MethodGet, issuer+"/style.css", nil))
	if !strings.Contains(style.text, "--main: light-dark(#7a1f5c, #7fb3ff);") ||
		style.header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("got the style sheet %v", style.header)
	}
	plain := newSite(t).serve(httptest.NewRequest(http.MethodGet, issuer+"/logo", nil))
	if plain.status != http.StatusNotFound {
		t.Errorf("without a theme, the logo is %d", plain.status)
	}
}

// The colors that the theme compares with are those of the style sheet.
func TestBuiltInColors(t *testing.T) {
	t.Parallel()
	style := newSite(t).serve(httptest.NewRequest(http.MethodGet, issuer+"/style.css", nil)).text
	for name, property := range map[string]string{
		"background": "back", "card": "card", "text": "text", "secondary": "soft", "border": "line", "accent": "main",
		"on_accent": "on-main", "error": "bad", "warning background": "warn-back",
	} {
		want := "--" + property + ": light-dark(" + theme.BuiltInColors["light"][name] + ", " +
			theme.BuiltInColors["dark"][name] + ");"
		if !strings.Contains(style, want) {
			t.Errorf("the style sheet does not have %s", want)
		}
	}
}

// The page for a new app has a link that opens the app on the same phone, in each language.
func TestLinkToApp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, language := range catalog.Languages {
		r := httptest.NewRequest(http.MethodGet, issuer+"/account/second-factors/new-app", nil)
		got := s.serve(withCookie(inLanguage(r, language), cookie))
		got.speaks(t, "new app", language, `<a href="otpauth://totp/`)
	}
}
