package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// signWith sets the algorithm of the ID tokens of a client.
func (s *site) signWith(id, algorithm string) {
	s.t.Helper()
	_, err := s.data.UpdateClient(s.t.Context(), id, s.clock(), func(c client.Client) (client.Client, error) {
		c.IDTokenAlgorithm = algorithm
		return c, nil
	})
	s.must(err)
	s.wait(issuing.CacheTime)
}

// expectNoKey checks that a client is told to try again later.
func (s *site) expectNoKey(what string, a answer) {
	s.t.Helper()
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "60" ||
		a.body["error"] != "temporarily_unavailable" {
		s.t.Errorf("%s: %d, Retry-After %q, %s", what, a.status, a.header.Get("Retry-After"), a.text)
	}
	if !strings.Contains(s.log.String(), "no key signs ID tokens for the client now: EdDSA") {
		s.t.Errorf("%s: the log does not name the algorithm", what)
	}
}

// A client whose ID tokens no key signs keeps its refresh token and its code until there is one.
func TestNoKeyForIDTokens(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	first := s.redeem("login", s.serve(withCookie(openIDRequest(), cookie)))
	refresh, _ := first.body["refresh_token"].(string)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refresh}}.Encode()

	s.signWith(openIDApp, keyring.EdDSA)
	for range 3 {
		s.expectNoKey("refresh", s.post(form))
		s.wait(time.Minute) // a token that was replaced counts as stolen by then
	}
	s.signWith(openIDApp, keyring.RS256)
	s.idToken("refresh with a key", s.post(form))

	got := s.serve(withCookie(openIDRequest(), cookie))
	s.signWith(openIDApp, keyring.EdDSA)
	s.expectNoKey("code", s.redeem("code", got))
	s.signWith(openIDApp, keyring.RS256)
	s.idToken("code with a key", s.redeem("code", got))
}

// So does a device that its user has allowed.
func TestNoKeyForIDTokensOfADevice(t *testing.T) {
	t.Parallel()
	s := addDevices(newOpenIDSite(t, keyring.RS256))
	d := s.start("client_id=" + tv + "&scope=openid")
	s.decide(d, "allow")
	s.signWith(tv, keyring.EdDSA)
	s.expectNoKey("device", s.poll(d))
	s.signWith(tv, keyring.RS256)
	s.idToken("device with a key", s.poll(d))
}
