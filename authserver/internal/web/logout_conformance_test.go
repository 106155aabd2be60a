package web_test

import (
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// hint logs john in at the client and returns the ID token.
func (c *conformance) hint() string {
	c.t.Helper()
	return c.idTokenOf(c.login())
}

// logsOut checks that a logout request sends the browser to location, and that the user is logged out: the next
// request without a page gets login_required.
func (c *conformance) logsOut(location string, parameters ...string) {
	c.t.Helper()
	c.expectLoggedOut("logout", c.endSession(c.cookie, parameters...), c.cookie, location)
	c.expectError("after the logout", c.authorize(c.request("prompt", "none")), "login_required")
}

// staysLoggedIn checks that a logout request gets an error page and logs nobody out.
func (c *conformance) staysLoggedIn(parameters ...string) {
	c.t.Helper()
	got := c.endSession(c.cookie, parameters...)
	if got.status != http.StatusBadRequest || got.header.Get("Location") != "" ||
		!strings.Contains(got.text, "You have not been logged out") {
		c.t.Errorf("%d to %q: %s", got.status, got.header.Get("Location"), got.text)
	}
	c.idToken("after the logout", c.login("prompt", "none"))
}

func (c *conformance) logout() {
	c.logsOut(loggedOutURI+"&state=st", "id_token_hint", c.hint(), "post_logout_redirect_uri", loggedOutURI, "state", "st")
}

func (c *conformance) logoutNoState() {
	c.logsOut(loggedOutURI, "id_token_hint", c.hint(), "post_logout_redirect_uri", loggedOutURI)
}

func (c *conformance) logoutNoURI() { c.logsOut("/logout", "id_token_hint", c.hint(), "state", "st") }

func (c *conformance) logoutNoParameters() {
	c.expectAsked("no parameters", c.endSession(c.cookie), c.cookie)
}

func (c *conformance) logoutOnlyState() {
	c.expectAsked("only state", c.endSession(c.cookie, "state", "st"), c.cookie)
}

func (c *conformance) logoutBadURI() {
	c.staysLoggedIn("id_token_hint", c.hint(), "post_logout_redirect_uri", "https://app.example/other", "state", "st")
}

func (c *conformance) logoutQueryAdded() {
	c.staysLoggedIn("id_token_hint", c.hint(), "post_logout_redirect_uri", loggedOutURI+"&y=2", "state", "st")
}

// An ID token with another signature.
func (c *conformance) logoutModifiedHint() {
	hint := c.hint()
	hint = hint[:len(hint)-8] + "AAAAAAAA"
	c.staysLoggedIn("id_token_hint", hint, "post_logout_redirect_uri", loggedOutURI, "state", "st")
}

// An ID token of another issuer.
func (c *conformance) logoutBadHint() {
	hint := c.signedHint(map[string]any{"iss": "https://other.example"})
	c.staysLoggedIn("id_token_hint", hint, "post_logout_redirect_uri", loggedOutURI, "state", "st")
}

func (c *conformance) logoutNoHint() {
	c.staysLoggedIn("post_logout_redirect_uri", loggedOutURI, "state", "st")
}

func (c *conformance) backchannelDiscovery() {
	c.discovery()
	var document map[string]any
	c.metadata().decode(&document)
	for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
		if document[name] != true {
			c.t.Errorf("%s: %v", name, document[name])
		}
	}
}

// The client is told of the logout that it has started, by the sid of its ID token.
func (c *conformance) backchannelLogout() {
	w := newTold(c.t, keyring.RS256)
	cookie := w.sessionCookie()
	tokens := w.logInToApp(cookie)
	w.expectLoggedOut("logout", w.endSession(cookie, "id_token_hint", w.idTokenOf(tokens)), cookie, "/logout")
	w.send()
	if n := w.received(); n != 1 {
		c.t.Fatalf("%d logout tokens, want 1", n)
	}
	id, got := w.idToken("login", tokens), w.logoutToken(keyring.RS256)
	if got["sid"] == nil || got["sid"] != id["sid"] || got["sub"] != id["sub"] || got["nonce"] != nil {
		c.t.Errorf("logout token %v for the ID token %v", got, id)
	}
}
