package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// registerDevice registers a public client for devices.
func (s *system) registerDevice(t *testing.T, id, name, scope string) {
	t.Helper()
	s.admin(t, "", "client", "add", id, "--public", "--name", name,
		"--grant", "device_code", "--grant", "refresh_token", "--scope", scope)
}

// startDevice starts a device authorization at a server.
func startDevice(t *testing.T, base, id string) (d oauth.DeviceAuthorization) {
	t.Helper()
	r := form("client_id", id)
	r.path = "/device_authorization"
	got := send(t, base, r)
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || d.UserCode == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	return d
}

// pollDevice polls a server once.
func pollDevice(t *testing.T, base, id string, d oauth.DeviceAuthorization) response {
	t.Helper()
	return send(t, base, form(
		"grant_type", string(oauth.GrantDeviceCode), "device_code", d.DeviceCode, "client_id", id))
}

// A user connects a device and denies another, in a real browser and with the keyboard alone. The pages are
// readable and usable on phones and on a desktop, in light and in dark.
// `go test -run TestDevicePagesInBrowser -artifacts` keeps the screenshots.
func TestDevicePagesInBrowser(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	s.registerDevice(t, "tv", "Living Room TV", "profile items:read")
	s.registerDevice(t, "long", "Rechtsschutzversicherungsgesellschaftenverwaltung International (Deutschland) GmbH",
		"profile items:read items:write "+
			"https://api.example.com/a-scope-that-is-a-very-long-address/and-goes-on-and-on")
	g := newGuest(t, s, startWebsite(t))
	first, second := startDevice(t, s.authURL, "tv"), startDevice(t, s.authURL, "tv")
	long := startDevice(t, s.authURL, "long")
	open := g.visit

	open(first.VerificationURI)
	g.sees("Log in")
	g.inspect("device-login")
	g.login("john.doe", demoPassword)
	g.sees("Connect a device")
	g.inspect("device-code")
	g.types("bcdfghjk" + kb.Enter)
	g.do("waiting for the message", chromedp.WaitVisible(chromedp.CSS("#error")))
	g.sees("Connect a device")
	g.inspect("device-code-unknown")
	g.check("what was typed", `document.querySelector("#user_code").value`, "bcdfghjk")
	typed := strings.ToLower(strings.ReplaceAll(first.UserCode, "-", ""))
	g.types(kb.End + strings.Repeat(kb.Backspace, len(typed)) + typed + kb.Enter)
	g.sees("Connect this device?")
	g.check("the code", `document.querySelector("p.code").textContent`, first.UserCode)
	g.inspect("device")
	g.types(kb.Tab)
	focus := `[document.activeElement.tagName, document.activeElement.value].join(" ")`
	g.check("the focus", focus, "BUTTON allow")
	g.types(kb.Tab)
	g.check("the focus", focus, "BUTTON deny")
	g.presses("Allow")
	g.sees("Device connected")
	g.inspect("device-connected")
	s.callMe(t, pollDevice(t, s.authURL, "tv", first).tokens(t).access, "John Doe")

	open(long.VerificationURIComplete)
	g.sees("Connect this device?")
	g.inspect("device-long")
	open(second.VerificationURIComplete) // the user scans it
	g.sees("Connect this device?")
	g.presses("Deny")
	g.sees("Device denied")
	g.inspect("device-denied")
	if got := pollDevice(t, s.authURL, "tv", second); !strings.Contains(got.body, "access_denied") {
		t.Errorf("the device is told %s, want access_denied", got.body)
	}
	open(long.VerificationURIComplete)
	g.sees("Connect this device?")
	g.presses("Log in as someone else")
	g.login("jane.smith", "anothersecurepass")
	g.sees("Connect this device?")
	g.check("the user", `document.body.innerText.includes("Jane Smith")`, "true")
}
