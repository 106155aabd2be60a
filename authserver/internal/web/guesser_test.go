package web_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// NIST SP 800-63B section 5.2.2: somebody who guesses a password from ever new addresses gets fewer than 100 tries in a
// day. The owner never waits, in a browser and at an address of earlier logins.
func TestDistributedGuesser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	from := func(b *testBrowser, address, password string) answer {
		r := loginFormOf(john, password)
		r.RemoteAddr = address + ":1234"
		return b.do(r)
	}
	const home, work = "192.0.2.1", "198.51.100.1"
	browser := s.newBrowser()
	browser.arrives("the first login", from(browser, home, password))
	const rounds, guesses = 288, 4 // in a day
	tries := 0
	for round := range rounds {
		for i := range guesses {
			address := fmt.Sprintf("203.%d.%d.%d", i, round/256, round%256)
			switch a := from(s.newBrowser(), address, guess); a.status {
			case http.StatusBadRequest:
				tries++
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("a guess: %d\n%s", a.status, a.text)
			}
		}
		if round%12 == 0 {
			browser.arrives("the owner in the browser", from(browser, work, password))
			visitor := s.newBrowser()
			visitor.arrives("the owner at home", from(visitor, home, password))
		}
		s.wait(24 * time.Hour / rounds)
	}
	if tries < 50 || tries >= 100 {
		t.Errorf("the guesser had %d tries in a day, want fewer than 100", tries)
	}
}

// Somebody at the same address who guesses passwords of others keeps nobody from the second step in a known browser. In
// another browser a user must wait, and is not told of wrong codes, which nobody has typed.
func TestGuesserBesideSecondSteps(t *testing.T) {
	t.Parallel()
	s := newFactorSite(t)
	s.addApp()
	s.arrives("the first login", s.form(s.secondStep(), "code", s.code(0)))
	s.wait(time.Minute)
	stranger := s.newBrowser()
	page := stranger.secondStep()
	for i := range 200 {
		if a := s.serve(loginFormOf(fmt.Sprintf("nobody-%d", i), guess)); a.status != http.StatusBadRequest {
			t.Fatalf("guess %d: %d\n%s", i, a.status, a.text)
		}
	}
	s.serve(loginFormOf("nobody", guess)).says("the next guess", http.StatusTooManyRequests, "Too many failed attempts")
	a := stranger.form(page, "code", s.code(0))
	a.says("another browser", http.StatusTooManyRequests, "Too many failed attempts")
	s.waitForMail(mail.WrongCodes, 0)
	b := s.testBrowser
	b.arrives("the known browser", b.form(b.secondStep("prompt", "login"), "code", s.code(0)))
}
