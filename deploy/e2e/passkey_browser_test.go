package e2e_test

import (
	"context"
	"strings"
	"testing"

	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// authenticator is a virtual one of the browser, which keeps passkeys as a phone or a computer does.
type authenticator struct {
	g  *guest
	id webauthn.AuthenticatorID
}

// addAuthenticator gives the browser an authenticator that has checked its user. Nobody touches it yet.
func (g *guest) addAuthenticator() *authenticator {
	g.t.Helper()
	a := &authenticator{g: g}
	g.do("adding an authenticator", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		added, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true,
			},
		})
		if err == nil {
			a.id = added.AuthenticatorID
		}
		return err
	}))
	a.touch(false)
	return a
}

// touch sets whether the user touches the authenticator when it is asked. In a login page that waits for a passkey, it
// also stands for picking the passkey in the username field.
func (a *authenticator) touch(on bool) {
	a.g.t.Helper()
	a.g.do("touching the authenticator", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, webauthn.SetAutomaticPresenceSimulation,
			webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: on})
		return err
	}))
}

// withoutAutofill makes the pages from now on believe that the browser cannot offer passkeys in the username field.
func (g *guest) withoutAutofill() {
	g.t.Helper()
	g.do("turning autofill off", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, devtools.AddScriptToEvaluateOnNewDocument,
			devtools.AddScriptToEvaluateOnNewDocumentParams{
				Source: "PublicKeyCredential.isConditionalMediationAvailable = async () => false",
			})
		return err
	}))
}

// startAtDomain starts both servers with an issuer that has a domain name.
func startAtDomain(t *testing.T) *system {
	t.Helper()
	s := newSystem(t)
	s.authURL = strings.Replace(s.authURL, "127.0.0.1", "localhost", 1)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	t.Cleanup(func() {
		for _, p := range []*process{s.authserver, s.resourceserver} {
			if p.running() {
				p.stop(t)
			}
			checkNoSecrets(t, p)
		}
	})
	return s
}

// A user adds a passkey, logs in with it after the password and in its place, and removes it, in a real browser, on a
// phone's width and on a desktop. `go test -run TestPasskeysInBrowser -artifacts` keeps the screenshots.
func TestPasskeysInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	if axe() == "" {
		leftOut(t, "the check of accessibility by axe-core, which needs its npm package")
	}
	s := startAtDomain(t)
	s.admin(t, "SeveralWordsInARow\n", "user", "add", "ada", "--name", "Ada Lovelace")
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--first-party", "--name", "Photo Album")
	g := newGuest(t, s, site)
	key := g.addAuthenticator()
	cameBack := func() {
		t.Helper()
		g.sees("Allow access?") // the app is on this computer, and the server has another name
		g.presses("Allow")
		g.cameBack("")
	}

	g.open(album)
	g.sees("Log in")
	g.inspect("passkey-login")
	g.login("ada", "SeveralWordsInARow")
	cameBack()
	g.visit(g.base + "/account/second-factors")
	g.sees("Second factor")
	g.inspect("passkeys-none")
	g.presses("Add a passkey")
	g.sees("Add a passkey")
	g.inspect("passkey-new")
	key.touch(true)
	g.do("naming it", chromedp.SendKeys(chromedp.CSS("#name"), "Laptop"),
		chromedp.SendKeys(chromedp.CSS("#password"), "SeveralWordsInARow"))
	g.do("adding it", chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	g.sees("Save your recovery codes")
	g.presses("I have saved them: continue")
	g.sees("Second factor")
	g.check("the passkey", `document.querySelector(".rows strong").textContent`, "Laptop")
	g.inspect("passkeys")

	// The device has one for the account already.
	g.presses("Add a passkey")
	g.sees("Add a passkey")
	g.do("adding it again", chromedp.Click(chromedp.CSS("form[data-passkey] button")),
		chromedp.WaitVisible(chromedp.CSS("[data-problem]")))
	g.inspect("passkey-new-again")

	key.touch(false)
	g.open(album, "prompt", "login")
	g.login("ada", "SeveralWordsInARow")
	g.sees("Use your passkey")
	g.inspect("passkey-second-step")
	key.touch(true)
	g.presses("Use a passkey")
	cameBack()

	// In the username field: the page waits for the passkey and goes on with it by itself.
	g.open(album, "prompt", "login")
	cameBack()
	if log := s.authserver.output.String(); !strings.Contains(log, "method=passkey") {
		t.Errorf("no login by a passkey in the log:\n%s", log)
	}

	key.touch(false)
	g.withoutAutofill()
	g.open(album, "prompt", "login")
	g.sees("Log in")
	key.touch(true)
	g.presses("Log in with a passkey")
	cameBack()

	g.visit(g.base + "/account/second-factors")
	g.sees("Second factor")
	g.presses("Remove")
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS(".done")))
	g.open(album, "prompt", "login")
	g.sees("Log in")
	g.presses("Log in with a passkey") // the device still has it
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.inspect("passkey-login-refused")
	g.login("ada", "SeveralWordsInARow")
	cameBack()

	// A user who needs a second factor and has none adds a passkey in the login.
	key.touch(false)
	g.open(album, "prompt", "login", "acr_values", "2")
	g.login("john.doe", demoPassword)
	g.sees("Add an authenticator app")
	g.presses("Add a passkey")
	g.sees("Add a passkey")
	g.inspect("passkey-first")
	key.touch(true)
	g.do("adding it", chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	g.sees("Save your recovery codes")
	g.presses("I have saved them: continue")
	cameBack()
}
