package e2e_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// totpCode returns the code that an app shows at a time step (RFC 4226 section 5.3, RFC 6238 section 4).
func totpCode(t *testing.T, key string, step int64) string {
	t.Helper()
	secret, err := base32.StdEncoding.DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil {
		t.Fatalf("the key %q is not base32: %v", key, err)
	}
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}

// timeSteps is the last time step whose code was typed. A server accepts each code once.
type timeSteps int64

// code returns a code of an app, by its key, that was not used before. It waits if the app has no new one yet.
func (last *timeSteps) code(t *testing.T, key string) string {
	t.Helper()
	now := func() timeSteps { return timeSteps(time.Now().Unix() / 30) }
	*last = max(*last+1, now()) // the server accepts the code of the next step, too
	for *last > now()+1 {
		time.Sleep(100 * time.Millisecond)
	}
	return totpCode(t, key, int64(*last))
}

// RFC 6238 appendix B, in six digits.
func TestTOTPCode(t *testing.T) {
	t.Parallel()
	key := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 20000000000: "353130"} {
		if got := totpCode(t, key, at/30); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// A user adds an app on the account page and logs in with its codes, in a real browser, on a phone's width and on a
// desktop. `go test -run TestSecondFactorInBrowser -artifacts` keeps the screenshots.
func TestSecondFactorInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	if axe() == "" {
		leftOut(t, "the check of accessibility by axe-core, which needs its npm package")
	}
	s := startDemo(t)
	s.admin(t, "SeveralWordsInARow\n", "user", "add", "ada", "--name", "Ada Lovelace")
	site := startWebsite(t)
	album := s.register(t, "album", site.URL+"/callback", "--public", "--first-party", "--name", "Photo Album")
	strict := s.register(t, "strict", site.URL+"/callback", "--public", "--first-party", "--name", "Bank",
		"--require-second-factor")
	g := newGuest(t, s, site)
	failed := func() {
		t.Helper()
		g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
	}
	arrives := func() { // the website is on this machine, so the user is asked each time
		t.Helper()
		g.sees("Allow access?")
		g.presses("Allow")
		g.cameBack("")
	}
	var used timeSteps
	code := func(key string) string { t.Helper(); return used.code(t, key) }

	g.open(album)
	g.login("ada", "SeveralWordsInARow")
	arrives()
	g.visit(g.base + "/account/second-factors")
	g.sees("Second factor")
	g.inspect("second-factors-none")
	g.presses("Add an authenticator app")
	g.sees("Add an authenticator app")
	g.inspect("second-factor-new-app")
	key := g.eval(`document.querySelector(".key").innerText`)
	g.do("typing", chromedp.SendKeys(chromedp.CSS("#code"), "000000"+kb.Tab+"SeveralWordsInARow"+kb.Enter))
	failed()
	g.inspect("second-factor-new-app-wrong")
	g.types(code(key) + kb.Tab + "SeveralWordsInARow" + kb.Tab + "Phone" + kb.Enter)
	g.sees("Save your recovery codes")
	g.inspect("recovery-codes")
	recovery := g.eval(`document.querySelector(".codes li").innerText`)
	g.presses("I have saved them: continue")
	g.sees("Second factor")
	g.inspect("second-factors")

	g.open(album, "prompt", "login")
	g.login("ada", "SeveralWordsInARow")
	g.sees("Enter a code")
	g.inspect("second-step")
	g.types("000000" + kb.Enter)
	failed()
	g.inspect("second-step-wrong")
	g.types(code(key) + kb.Enter)
	arrives()

	g.open(album, "prompt", "login")
	g.login("ada", "SeveralWordsInARow")
	g.sees("Enter a code")
	g.presses("Use a recovery code")
	g.sees("Enter a recovery code")
	g.inspect("second-step-recovery")
	g.types(recovery + kb.Enter)
	arrives()

	// A user who has none adds an app in the login to a client that requires one.
	g.open(strict, "prompt", "login")
	g.login("john.doe", demoPassword)
	g.sees("Add an authenticator app")
	g.inspect("second-step-new-app")
	used = 0
	g.do("typing", chromedp.SendKeys(chromedp.CSS("#code"),
		code(g.eval(`document.querySelector(".key").innerText`))+kb.Enter))
	g.sees("Save your recovery codes")
	g.presses("I have saved them: continue")
	arrives()
}
