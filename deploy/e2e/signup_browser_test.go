package e2e_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// mailLink matches the link of a mail.
var mailLink = regexp.MustCompile(`(?m)^https?://\S+$`)

// mailTo waits for a mail to an address with a subject, and returns the link in it.
func (s *system) mailTo(t *testing.T, address, subject string) string {
	t.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var mails []struct{ To, Subject, Text string }
		if err := json.Unmarshal([]byte(s.admin(t, "", "mail", "list", "--json")), &mails); err != nil {
			t.Fatal(err)
		}
		for _, m := range mails {
			if m.To == address && strings.Contains(m.Subject, subject) {
				return mailLink.FindString(m.Text)
			}
		}
	}
	t.Fatalf("no mail to %s about %q", address, subject)
	return ""
}

// Somebody without an account signs up on the way to an app, with the keyboard alone, and confirms an email address.
// The pages are readable and usable on phones and on a desktop, in light and in dark.
// `go test -run TestSignUpInBrowser -artifacts` keeps the screenshots.
func TestSignUpInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--mail-inbox", "on", "--signup", "open", "--signup-domains", "example.com")
	t.Cleanup(func() {
		s.authserver.stop(t)
		checkNoSecrets(t, s.authserver)
	})
	site := startWebsite(t)
	a := s.register(t, "album", site.URL+"/callback", "--name", "Photo Album")
	g := newGuest(t, s, site)
	show := g.visit
	const ada, password = "ada@example.com", "three wandering otters"

	g.open(a)
	g.sees("Log in")
	g.inspect("login")
	g.presses("Sign up")
	g.sees("Sign up")
	g.inspect("signup")
	g.types("ada@elsewhere.test" + kb.Enter)
	g.do("waiting", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.inspect("signup-wrong")
	g.eval(`document.activeElement.select()`)
	g.types(ada + kb.Enter)
	g.sees("Check your email")
	g.inspect("signup-sent")

	link := s.mailTo(t, ada, "Create your account")
	show(link)
	g.sees("Create your account")
	g.inspect("account")
	g.types("john.doe" + kb.Tab + "Ada Lovelace" + kb.Tab + password + kb.Enter)
	g.do("waiting", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.inspect("account-wrong")
	g.eval(`document.activeElement.select()`)
	g.types("ada" + kb.Tab + kb.Tab + password + kb.Enter)
	g.sees("Allow access?")
	g.check("the user", `document.body.innerText.includes("logged in as Ada Lovelace")`, "true")
	g.presses("Allow")
	g.cameBack("")

	show(link)
	g.sees("This link does not work")
	g.inspect("used-link")
	show(s.authURL + "/signup")
	g.sees("Sign up")
	g.inspect("signup-alone")
	g.types(ada + kb.Enter)
	g.sees("Check your email")
	show(s.mailTo(t, ada, "already have an account"))
	g.sees("Forgot your password?")

	s.admin(t, "", "user", "set", "ada", "--email", "ada.lovelace@example.com", "--verify-email")
	show(s.mailTo(t, "ada.lovelace@example.com", "Confirm your email address"))
	g.sees("Confirm your email address")
	g.inspect("email")
	g.types(kb.Enter)
	g.sees("Your email address is confirmed")
	g.inspect("email-confirmed")

	// In another browser.
	g = g.in(t)
	show(s.authURL + "/signup")
	g.sees("Sign up")
	g.types("grace@example.com" + kb.Enter)
	g.sees("Check your email")
	show(s.mailTo(t, "grace@example.com", "Create your account"))
	g.sees("Create your account")
	g.types("grace" + kb.Tab + kb.Tab + password + kb.Enter)
	g.sees("You can log in now")
	g.inspect("ready")
}
