package web_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
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
