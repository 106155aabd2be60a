package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// addRedirecting registers a client with the redirect URIs; confidential if it has a secret.
func (s *site) addRedirecting(id, secretDigest string, firstParty bool, uris ...string) {
	s.t.Helper()
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: id, Name: "The App", SecretDigest: secretDigest, FirstParty: firstParty, RedirectURIs: uris,
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"profile"}, CreatedAt: s.clock(),
	}))
}

// RFC 8252 section 8.6: another program can pretend to be a public native app, so its users are
// asked each time, and a request that must not ask fails.
func TestNativeAppsAskEachTime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	cookie := s.sessionCookie()
	for _, tt := range []struct {
		id, secret string
		firstParty bool
		registered string
		redirect   string
		asks       bool // each time
	}{
		{"loopback", "", false, "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true},
		{"loopback6", "", false, "http://[::1]/cb", "http://[::1]:51004/cb", true},
		{"localhost", "", false, "http://localhost/cb", "http://localhost:51004/cb", true},
		{"scheme", "", false, "com.example.app:/cb", "com.example.app:/cb", true},
		{"own", "", true, "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true},
		{"own-scheme", "", true, "com.example.app:/cb", "com.example.app:/cb", true},
		{"page", "", false, "https://app.example/cb", "https://app.example/cb", false},
		{"own-page", "", true, "https://app.example/cb", "https://app.example/cb", false},
		{"secret", "digest", false, "http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", false},
	} {
		s.addRedirecting(tt.id, tt.secret, tt.firstParty, tt.registered)
		query := codeRequest("client_id", tt.id, "redirect_uri", tt.redirect)
		silent := codeRequest("client_id", tt.id, "redirect_uri", tt.redirect, "prompt", "none")
		for round := range 3 {
			got := s.serve(withCookie(authorizeRequest("client_id", tt.id, "redirect_uri", tt.redirect), cookie))
			asked := got.status == http.StatusOK && strings.Contains(got.text, `name="decision"`)
			if want := tt.asks || (round == 0 && !tt.firstParty); asked != want {
				t.Errorf("%s, round %d: asked %v, want %v", tt.id, round, asked, want)
			}
			if told := strings.Contains(got.text, "a program on this computer"); told != tt.asks {
				t.Errorf("%s: the page says that a program gets the response: %v", tt.id, told)
			}
			if round == 0 && asked {
				consent := withCookie(pageForm("/consent", url.Values{
					"continue": {query.Encode()}, "user": {s.userID(john)}, "decision": {"allow"},
				}), cookie)
				to := s.serve(consent).header.Get("Location")
				if sent := strings.HasPrefix(to, tt.redirect+"?code="); sent != tt.asks {
					t.Errorf("%s: allowed, and sent to %s", tt.id, to)
				}
			}
			to := s.serve(withCookie(authorizeRequest("client_id", tt.id, "redirect_uri", tt.redirect, "prompt", "none"),
				cookie)).header.Get("Location")
			if refused := strings.Contains(to, "error=consent_required"); refused != tt.asks {
				t.Errorf("%s, prompt=none: sent to %s", tt.id, to)
			}
		}
		if consents, err := s.data.Consents(t.Context(), s.userID(john)); err != nil || tt.asks && len(consents) > 0 &&
			consents[len(consents)-1].ClientID == tt.id {
			t.Errorf("%s: consents %v, %v", tt.id, consents, err)
		}
		denied := s.serve(withCookie(pageForm("/consent", url.Values{
			"continue": {silent.Encode()}, "user": {s.userID(john)}, "decision": {"deny"},
		}), cookie)).header.Get("Location")
		if !strings.Contains(denied, "error=access_denied") {
			t.Errorf("%s, denied: sent to %s", tt.id, denied)
		}
	}
}

// The consent page of a native app gives a code for a login that is recent enough only.
func TestNativeConsentAfterMaxAge(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addCodeApp()
	s.addRedirecting("loopback", "", false, "http://127.0.0.1/cb")
	cookie := s.sessionCookie()
	query := codeRequest("client_id", "loopback", "redirect_uri", "http://127.0.0.1:1/cb", "max_age", "60").Encode()
	for _, tt := range []struct{ user, want string }{
		{s.userID(john), "http://127.0.0.1:1/cb?code="},
		{"usr_other", "/authorize?"},
	} {
		consent := pageForm("/consent", url.Values{"continue": {query}, "user": {tt.user}, "decision": {"allow"}})
		if to := s.serve(withCookie(consent, cookie)).header.Get("Location"); !strings.HasPrefix(to, tt.want) {
			t.Errorf("%s: sent to %s, want %s", tt.user, to, tt.want)
		}
	}
	s.wait(2 * 60 * 1e9)
	consent := pageForm("/consent", url.Values{
		"continue": {query}, "user": {s.userID(john)}, "decision": {"allow"},
	})
	if to := s.serve(withCookie(consent, cookie)).header.Get("Location"); to != "/authorize?"+query {
		t.Errorf("after max_age: sent to %s", to)
	}
}
