package engine_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/engine"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// CHECKLIST 36: a code that is used a second time ends what it gave, even when it would
// have expired by then. One that nobody has used just expires.
func TestReplayOfExpiredCode(t *testing.T) {
	b := newBench(t)
	b.app.Grants = []oauth.GrantType{oauth.GrantAuthorizationCode}
	e := engine.New(b.cfg)
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	must(t, b.data.CreateSession(t.Context(), "session", b.user, b.now, b.now.Add(time.Hour)))
	redemption := func() *http.Request {
		const uri = "https://app.example/callback"
		r := httptest.NewRequest(http.MethodGet, "/authorize", nil)
		r.Form = url.Values{
			"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {uri},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		}
		to, err := e.Authorize(r, b.app, engine.Consent{UserID: b.user.ID, Session: "session", Scope: b.app.Scope})
		must(t, err)
		u, err := url.Parse(to)
		must(t, err)
		return request("grant_type", "authorization_code", "code", u.Query().Get("code"), "redirect_uri", uri, "code_verifier", verifier)
	}
	used, unused := redemption(), redemption()
	_, err := e.Issue(used, b.app)
	must(t, err)
	b.expectGrants(1)
	b.now = b.now.Add(grant.CodeLifetime + time.Second)
	if _, err := e.Issue(unused, b.app); !errors.Is(err, oauth.ErrInvalidGrant) {
		t.Errorf("an expired code: %v, want invalid_grant", err)
	}
	b.expectGrants(1)
	if _, err := e.Issue(used, b.app); !errors.Is(err, oauth.ErrInvalidGrant) {
		t.Errorf("the replay: %v, want invalid_grant", err)
	}
	b.expectGrants(0)
}
