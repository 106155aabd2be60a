package account_test

import (
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	const webkit = "AppleWebKit/537.36 (KHTML, like Gecko) "
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                 "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + webkit + "Chrome/140.0.0.0 Safari/537.36": "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0) " + webkit + "Chrome/140.0 Safari/537.36 Edg/140.0":       "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) " + webkit + "Chrome/140.0 Mobile Safari/537.36":     "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1":       "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15":           "Safari on macOS",
		"Mozilla/5.0 Firefox/1":            "Firefox",
		"Mozilla/5.0 (something new)":      "Mozilla",
		"curl/8.5.0":                       "curl",
		"Go-http-client/1.1":               "Go-http-client",
		"python-requests/2.31 Firefox/1.0": "python-requests",
		"":                                 "",
		"<script>alert(1)</script>":        "",
		"\u202eevil/1":                     "",
		"two words":                        "two",
		"Mozilla/" + strings.Repeat("x", 600) + " Firefox/1":  "Mozilla",
		strings.Repeat("x", 5000):                             strings.Repeat("x", 40),
		"Mozilla/5.0 (<b>Linux</b>\x00) Firefox/140.0 <b>x":   "Firefox on Linux",
		"Mozilla/5.0 (Linux) Firefox/1; DROP TABLE users; --": "Firefox on Linux",
	} {
		got := account.NewPlace("192.0.2.1", agent)
		if got != (account.Place{Address: "192.0.2.1", Agent: want}) {
			t.Errorf("%.80q: got %+v, want the agent %q", agent, got, want)
		}
	}
}
