package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// translated returns the texts of the pages in a language by their English texts.
func translated(t *testing.T, language string) func(english string) string {
	t.Helper()
	var texts map[string]any
	file := readProject(t, "authserver/internal/catalog/texts/"+language+".json")
	if err := json.Unmarshal([]byte(file), &texts); err != nil {
		t.Fatal(err)
	}
	return func(english string) string {
		t.Helper()
		if text, ok := texts[english].(string); ok {
			return text
		}
		if language != "en" {
			t.Fatalf("no text for %q in %s", english, language)
		}
		return english
	}
}

// inspectOnPhone checks the page on the narrowest phone, and keeps a picture of it.
func (g *guest) inspectOnPhone(name, language string) {
	g.t.Helper()
	g.show(320, 568, "light")
	if faults := g.eval(pageFaults); faults != "" {
		g.t.Errorf("%s in %s:\n%s", name, language, faults)
	}
	if got := g.eval(`document.documentElement.lang`); got != language {
		g.t.Errorf("%s is in %q, want %q", name, got, language)
	}
	g.isAccessible(name + " in " + language)
	g.picture(name + "-" + language)
}

// mailSubjects are the subjects of the mail for making an account.
var mailSubjects = map[string]string{
	"en": "Create your account", "ko": "계정 만들기", "de": "Ihr Konto bei", "es": "Cree su cuenta",
}

// Somebody signs up, allows an app access and looks after the account, in each language, on a narrow phone. The app
// says the language by ui_locales (OpenID Connect Core section 3.1.2.1).
// `go test -run TestLanguagesInBrowser -artifacts` keeps the screenshots.
func TestLanguagesInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	if axe() == "" {
		leftOut(t, "the check of accessibility by axe-core, which needs its npm package")
	}
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--mail-inbox", "on", "--signup", "open", "--password-min-length", "15")
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--name", "Photo Album",
		"--scope", "profile openid email groups")
	g := newGuest(t, s, site)
	for _, language := range []string{"en", "ko", "de", "es"} {
		t.Run(language, func(t *testing.T) { g.in(t).walkIn(t, language, album, s) })
	}
}

// walkIn opens the pages in a language.
func (g *guest) walkIn(t *testing.T, language string, album app, s *system) {
	t.Helper()
	text := translated(t, language)
	sees := func(name, heading string) {
		t.Helper()
		g.sees(text(heading))
		g.inspectOnPhone(name, language)
	}
	show := g.visit
	failed := func(name, heading string) {
		t.Helper()
		g.do("waiting", chromedp.WaitVisible(chromedp.CSS("#error")))
		sees(name, heading) // the page is complete, with its style
	}
	email, password := "ada-"+language+"@example.com", "three wandering otters"

	g.open(album, "ui_locales", language, "scope", "profile openid email groups")
	sees("login", "Log in")
	g.types("nobody" + kb.Tab + "wrong" + kb.Enter)
	failed("login-wrong", "Log in")
	g.presses(text("Sign up"))
	sees("signup", "Sign up")
	g.types(email + kb.Enter)
	sees("signup-sent", "Check your email")
	show(s.mailTo(t, email, mailSubjects[language]))
	sees("signup-account", "Create your account")
	g.types("ada" + language + kb.Tab + kb.Tab + "short" + kb.Enter)
	failed("signup-account-wrong", "Create your account")
	g.types(password + kb.Enter)
	sees("consent", "Allow access?")
	g.presses(text("Allow"))
	g.cameBack("")
	for _, page := range []struct{ name, path, heading string }{
		{"account", "/account", "Your account"},
		{"name", "/account/name", "Change your name"},
		{"email", "/account/email", "Change your email address"},
		{"password", "/account/password", "Change your password"},
		{"data", "/account/data", "A copy of your data"},
		{"delete", "/account/delete", "Delete your account"},
		{"second-factors", "/account/second-factors", "Second factor"},
		{"new-app", "/account/second-factors/new-app", "Add an authenticator app"},
		{"device", "/device", "Connect a device"},
		{"forgot", "/forgot", "Forgot your password?"},
		{"used-link", "/reset?link=unknown", "This link does not work"},
		{"logout", "/logout", "Log out?"},
		{"home", "/", "Login service"},
	} {
		show(g.base + page.path)
		sees(page.name, page.heading)
	}
}

// themeFiles are the files of the theme in the documentation.
var themeFiles = map[string]string{
	"theme.json": `{
  "name": "Hazel Street Library",
  "colors": {
    "light": {"background": "#f3efe6", "accent": "#7a3b12"},
    "dark": {"accent": "#f0b48a"}
  }
}
`,
	"logo.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 42 40" width="42" height="40">
<rect x="2" y="6" width="9" height="30" fill="#7a3b12"/><rect x="13" y="2" width="9" height="34" fill="#c8813f"/>
<rect x="26" y="7" width="9" height="30" fill="#4c6b3c" transform="rotate(-14 30 36)"/>
</svg>
`,
	"de.json": `{"to continue to {app}": "weiter zu {app}"}`,
}

// writeTheme writes the theme and returns its folder.
func writeTheme(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range themeFiles {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// A team's name, logo and colors are on the pages, which stay readable and accessible. The browser shows the logo.
func TestThemeInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--theme-dir", writeTheme(t), "--language", "de")
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--name", "Photo Album")
	g := newGuest(t, s, site)
	g.open(album)
	g.sees("Log in")
	g.check("the logo", `document.querySelector(".service img").naturalWidth > 0`, "true")
	g.check("the name", `document.querySelector(".service img").alt`, "Hazel Street Library")
	g.check("the title", `document.title`, "Log in - Hazel Street Library")
	g.check("the color", `getComputedStyle(document.querySelector("button")).backgroundColor`, "rgb(122, 59, 18)")
	g.inspect("theme-login")
	g.open(album, "ui_locales", "de")
	g.sees("Anmelden")
	g.check("the team's text", `document.querySelector("main > p:not(.service)").innerText`, "weiter zu Photo Album")
	g.types("john.doe" + kb.Tab + demoPassword + kb.Enter)
	g.sees("Zugriff zulassen?")
	g.inspect("theme-consent")
}
