package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// Whatever the order of a revocation and of an authorization that is under way, its code is void.
func TestConsentRevokedDuringAuthorization(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	s.addRedirecting("third", "", false, "https://app.example/cb")
	cookie, user := s.sessionCookie(), s.userID(john)
	verifier := strings.Repeat("v", 43)
	challenge := sha256.Sum256([]byte(verifier))
	codes, lost := 0, 0
	const rounds = 40
	for range rounds {
		s.must(s.data.AddConsent(t.Context(), user, "third", audience, oauth.Scope{"profile"}, s.clock()))
		var authorized answer
		var both sync.WaitGroup
		both.Go(func() {
			authorized = s.serve(withCookie(authorizeRequest("client_id", "third", "redirect_uri", "https://app.example/cb",
				"code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:])), cookie))
		})
		both.Go(func() {
			if err := s.data.RevokeConsent(t.Context(), user, "third", s.clock()); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		to := authorized.header.Get("Location")
		_, code, found := strings.Cut(to, "?code=")
		code, _, _ = strings.Cut(code, "&")
		if !found {
			continue
		}
		codes++
		s.hide(code)
		got := s.post("grant_type=authorization_code&client_id=third&code=" + code + "&code_verifier=" + verifier)
		if got.status == http.StatusOK {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d codes outlived the revocation", lost, codes)
	}
	t.Logf("%d of %d authorizations got a code", codes, rounds)
}
