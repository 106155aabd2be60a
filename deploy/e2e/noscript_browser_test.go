package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// withoutScripts makes the browser run no script of a page. What a test evaluates still runs.
func (g *guest) withoutScripts() {
	g.t.Helper()
	g.do("turning scripts off", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	g.do("opening a page with a script",
		chromedp.Navigate(`data:text/html,<title>off</title><script>document.title="on"</script>`))
	g.check("what a script has done", `document.title`, "off")
}

// downloads makes the browser save files to a folder, and returns a function that waits for one and reads it.
func (g *guest) downloads() (next func() []byte) {
	g.t.Helper()
	folder := g.t.TempDir()
	g.do("setting the folder for downloads", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder,
		})
		return err
	}))
	return func() []byte {
		g.t.Helper()
		for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			files, err := filepath.Glob(filepath.Join(folder, "*.json"))
			if err != nil || len(files) == 0 {
				continue
			}
			content, err := os.ReadFile(files[0])
			if err == nil && json.Valid(content) {
				return content
			}
		}
		g.t.Fatal("the browser has saved no JSON")
		return nil
	}
}

// scriptless is a person on a phone whose browser runs no scripts.
type scriptless struct {
	*guest
	s    *system
	used timeSteps
}

// at opens a page below the issuer and waits for its heading.
func (p *scriptless) at(path, heading string) {
	p.t.Helper()
	p.visit(p.base + path)
	p.shows(heading)
}

// shows waits for a page and checks that it is readable on a phone. No form that needs a script is visible.
func (p *scriptless) shows(heading string) {
	p.t.Helper()
	p.sees(heading)
	if faults := p.eval(pageFaults); faults != "" {
		p.t.Errorf("%s:\n%s", heading, faults)
	}
	p.check("the visible forms that need scripts", `[...document.querySelectorAll("form[data-passkey]")].filter(`+
		`f => f.offsetWidth || f.offsetHeight).length`, "0")
	p.picture(strings.ToLower(strings.ReplaceAll(strings.Trim(heading, "?"), " ", "-")))
}

// says waits for a page that reports what was done.
func (p *scriptless) says(text string) {
	p.t.Helper()
	p.do("waiting for "+text, chromedp.WaitVisible(chromedp.Search(`//*[@role="status"][contains(., "`+text+`")]`)))
}

// code returns a code of an authenticator app that has not been used.
func (p *scriptless) code(key string) string {
	p.t.Helper()
	return p.used.code(p.t, key)
}

// secondStep logs in with the password, up to the page for the second factor.
func (p *scriptless) secondStep(username, password string) {
	p.t.Helper()
	p.at("/account", "Log in")
	p.types(username + kb.Tab + password + kb.Enter)
	p.shows("Enter a code")
}

// Every page works in a browser that runs no scripts, on the width of a phone: from signing up to the deletion of the
// account. `go test -run TestWithoutScripts -artifacts` keeps the screenshots.
func TestWithoutScripts(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := newSystem(t)
	s.authURL = strings.Replace(s.authURL, "127.0.0.1", "localhost", 1) // so that passkeys are on
	s.startAuthserver(t, "--demo", "--mail-inbox", "on", "--signup", "open")
	s.startResourceserver(t)
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--name", "Photo Album")
	p := &scriptless{guest: newGuest(t, s, site), s: s}
	p.show(390, 844, "light")
	p.withoutScripts()

	p.signUp(album)
	p.endLogin()
	recovery, key := p.addApp()
	p.logInWithFactors(key, recovery)
	p.changeAddressAndPassword()
	p.endAccess(album, key)
	p.recoverPassword()
	p.deleteAccount(key)
}

// The account of the test, and its passwords in their order.
const (
	adaAddress     = "ada@example.com"
	newAddress     = "ada.lovelace@example.com"
	firstPassword  = "three wandering otters"
	secondPassword = "four wandering otters"
	thirdPassword  = "five wandering otters"
)

// signUp makes an account on the way to an app.
func (p *scriptless) signUp(album app) {
	p.t.Helper()
	p.open(album)
	p.shows("Log in")
	p.presses("Sign up")
	p.shows("Sign up")
	p.types(adaAddress + kb.Enter)
	p.shows("Check your email")
	p.visit(p.s.mailTo(p.t, adaAddress, "Create your account"))
	p.shows("Create your account")
	p.types("ada" + kb.Tab + "Ada Lovelace" + kb.Tab + firstPassword + kb.Enter)
	p.shows("Allow access?")
	p.presses("Allow")
	p.cameBack("")
}

// endLogin ends the login of another browser.
func (p *scriptless) endLogin() {
	p.t.Helper()
	elsewhere := p.s.logInElsewhere(p.t, "ada", firstPassword, "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
	p.at("/account", "Your account")
	p.do("ending it", chromedp.Click(chromedp.CSS(`button[name="session"]`)))
	p.says("That browser or app is logged out.")
	if page := elsewhere(); !strings.Contains(page, `action="/account/login"`) {
		p.t.Errorf("the other browser shows %s", page)
	}
}

// addApp adds an authenticator app, and returns a recovery code and the key of the app. The page for a passkey says
// what it needs.
func (p *scriptless) addApp() (recovery, key string) {
	p.t.Helper()
	p.at("/account", "Your account")
	p.do("following the link", chromedp.Click(chromedp.CSS(`a[href="/account/second-factors"]`)))
	p.shows("Second factor")
	p.presses("Add a passkey")
	p.shows("Add a passkey")
	p.do("reading why it cannot be added",
		chromedp.WaitVisible(chromedp.Search(`//p[contains(., "This page needs JavaScript")]`)))
	p.presses("Back to your second factors")
	p.shows("Second factor")
	p.presses("Add an authenticator app")
	p.shows("Add an authenticator app")
	key = p.eval(`document.querySelector(".key").innerText`)
	p.do("typing",
		chromedp.SendKeys(chromedp.CSS("#password"), firstPassword),
		chromedp.SendKeys(chromedp.CSS("#code"), p.code(key)+kb.Enter))
	p.shows("Save your recovery codes")
	recovery = p.eval(`document.querySelector(".codes li").innerText`)
	p.presses("I have saved them: continue")
	p.shows("Second factor")
	return recovery, key
}

// logInWithFactors logs in with a code, and with a recovery code.
func (p *scriptless) logInWithFactors(key, recovery string) {
	p.t.Helper()
	p.logOut()
	p.secondStep("ada", firstPassword)
	p.types(p.code(key) + kb.Enter)
	p.shows("Your account")
	p.logOut()
	p.secondStep(adaAddress, firstPassword)
	p.presses("Use a recovery code")
	p.shows("Enter a recovery code")
	p.types(recovery + kb.Enter)
	p.shows("Your account")
}

// logOut ends the login of this browser.
func (p *scriptless) logOut() {
	p.t.Helper()
	p.at("/account", "Your account")
	p.do("following the link", chromedp.Click(chromedp.CSS(`a[href="/logout"]`)))
	p.shows("Log out?")
	p.presses("Log out")
	p.shows("Logged out")
}

// changeAddressAndPassword changes the name, the email address and the password.
func (p *scriptless) changeAddressAndPassword() {
	p.t.Helper()
	p.at("/account/name", "Change your name")
	p.types(kb.End + strings.Repeat(kb.Backspace, 20) + "Ada King" + kb.Enter)
	p.says("Your name was changed.")
	p.at("/account/email", "Change your email address")
	p.types(newAddress + kb.Tab + firstPassword + kb.Enter)
	p.shows("Your account")
	p.visit(p.s.mailTo(p.t, newAddress, "Confirm"))
	p.shows("Confirm your email address")
	p.types(kb.Enter)
	p.shows("Your email address is confirmed")
	p.at("/account/password", "Change your password")
	p.types(firstPassword + kb.Tab + secondPassword + kb.Enter)
	p.says("Your password was changed.")
}

// endAccess ends the access of an app, and saves a copy of the data.
func (p *scriptless) endAccess(album app, key string) {
	p.t.Helper()
	p.open(album)
	p.shows("Allow access?")
	p.presses("Allow")
	granted := send(p.t, p.s.authURL, album.redemption(p.cameBack("").Get("code"))).tokens(p.t)
	p.s.callMe(p.t, granted.access, "Ada King")
	p.at("/account", "Your account")
	p.do("removing the app", chromedp.Click(chromedp.CSS(`button[name="client"][value="album"]`)))
	p.says("The app no longer has access.")
	p.s.refusedSoon(p.t, granted.access)
	p.presses("Download a copy of your data")
	p.shows("A copy of your data")
	saved := p.downloads()
	p.presses("Download the copy")
	if data := string(saved()); !strings.Contains(data, newAddress) || strings.Contains(data, key) {
		p.t.Errorf("the copy is %s", data)
	}
}

// recoverPassword chooses a new password by mail.
func (p *scriptless) recoverPassword() {
	p.t.Helper()
	p.logOut()
	p.at("/account", "Log in")
	p.presses("Forgot your password?")
	p.shows("Forgot your password?")
	p.types(newAddress + kb.Enter)
	p.shows("Check your email")
	p.visit(p.s.mailTo(p.t, newAddress, "new password"))
	p.shows("Choose a new password")
	p.types(thirdPassword + kb.Enter)
	p.shows("Your password was changed")
}

// deleteAccount logs in with the new password, and deletes the account.
func (p *scriptless) deleteAccount(key string) {
	p.t.Helper()
	p.secondStep("ada", thirdPassword)
	p.types(p.code(key) + kb.Enter)
	p.shows("Your account")
	p.presses("Delete your account")
	p.shows("Delete your account")
	p.do("filling in",
		chromedp.SendKeys(chromedp.CSS("#username"), "ada"), chromedp.SendKeys(chromedp.CSS("#password"), thirdPassword))
	p.presses("Delete my account")
	p.shows("Your account was deleted")
	p.at("/account", "Log in")
	p.types("ada" + kb.Tab + thirdPassword + kb.Enter)
	p.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
}
