package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// expectProofUse checks that a grant type uses up the proof of a request that it accepts, and of no other: strangers
// cannot fill the database with proofs (RFC 9449 section 11.1). Nothing else is used up by a request whose proof was
// used before. bad and good are token requests.
func (s *site) expectProofUse(name, bad, good string, changes ...change) {
	s.t.Helper()
	spent, fresh := s.newKey().prove(), s.newKey().prove()
	used := s.post("grant_type=client_credentials", basic(reporter, s.secrets[reporter]), spent)
	if used.status != http.StatusOK {
		s.t.Fatalf("%s: using a proof: %d %s", name, used.status, used.text)
	}
	send := func(body string, proof change) answer {
		s.t.Helper()
		got := s.post(body, append([]change{proof}, changes...)...)
		if refresh := refreshOf(got); refresh != "" {
			s.hide(refresh)
		}
		return got
	}
	if got := send(bad, fresh); got.status != http.StatusBadRequest || got.body["error"] == "invalid_dpop_proof" {
		s.t.Errorf("%s, bad: %d %s", name, got.status, got.text)
	}
	send(good, spent).expect(name+", a used proof", http.StatusBadRequest, oauth.CodeInvalidDPoPProof, "used before")
	if got := send(good, fresh); got.status != http.StatusOK {
		s.t.Errorf("%s, good: %d %s", name, got.status, got.text)
	}
	send(good, fresh).expect(name+", again", http.StatusBadRequest, oauth.CodeInvalidDPoPProof, "used before")
}

// A proof is used up by a request that is accepted, with each grant type (RFC 9449 section 11.1).
func TestRefusedRequestsUseNoProof(t *testing.T) {
	t.Parallel()
	s := newDeviceSite(t)
	s.addOpenIDAppOnly()
	s.addClient(mobile, "", oauth.GrantPassword, oauth.GrantRefreshToken)
	s.expectProofUse("password", login("grant_type", "password", "client_id", public, "password", guess),
		login("grant_type", "password", "client_id", public))
	s.expectProofUse("client credentials", "grant_type=client_credentials&scope=admin", "grant_type=client_credentials",
		basic(reporter, s.secrets[reporter]))
	code := s.response("code", s.serve(withCookie(openIDRequest("scope", "items:read"), s.cookie))).Get("code")
	s.expectProofUse("authorization code", codeForm("x"), codeForm(code))
	refresh := refreshOf(s.post(login("grant_type", "password", "client_id", mobile)))
	s.hide(refresh)
	s.expectProofUse("refresh token", mobileRefresh(refresh+"x"), mobileRefresh(refresh))
	d := s.start("client_id=" + tv)
	s.decide(d, "allow")
	s.wait(10 * time.Second)
	poll := func(code string) string {
		return url.Values{
			"grant_type": {string(oauth.GrantDeviceCode)}, "device_code": {code}, "client_id": {tv},
		}.Encode()
	}
	s.expectProofUse("device code", poll("x"), poll(d.DeviceCode))
}

// The same for token exchange.
func TestRefusedExchangeUsesNoProof(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	exchange := func(subject string) string {
		return url.Values{
			"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {subject},
			"subject_token_type": {oauth.TokenTypeAccess}, "resource": {itemsAPI},
		}.Encode()
	}
	s.expectProofUse("token exchange", exchange("x"), exchange(access(s.userToken("items:read"))), s.auth[orders])
}
