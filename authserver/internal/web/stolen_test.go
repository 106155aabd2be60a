package web_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// Who steals the database gets no password, token, code, cookie or client secret: it has digests. Every test with
// newSite looks for secrets in the files; here there is one of each, and the files are known to have the login.
func TestStolenDatabase(t *testing.T) {
	t.Parallel()
	s := newLogoutSite(t)
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: "stolen-tv", Name: "TV", Scope: oauth.Scope{"profile"}, CreatedAt: s.clock(),
		Grants: []oauth.GrantType{oauth.GrantDeviceCode},
	}))
	cookie := s.sessionCookie()
	authorized := s.serve(withCookie(openIDRequest(), cookie))
	s.hide(s.response("code", authorized).Get("code"))
	tokens := s.redeem("code", authorized)
	s.idTokenOf(tokens)
	s.hide(tokens.member("refresh_token"))
	s.post(passwordGrant("client_id", backend, "client_secret", s.secrets[backend]))
	device := s.serve(pageForm("/device_authorization", url.Values{"client_id": {"stolen-tv"}}))
	s.hide(device.member("device_code"))
	s.hide(device.member("user_code"))
	if tokens.member("refresh_token") == "" || device.member("user_code") == "" {
		t.Fatalf("no refresh token or no device code: %s %s", tokens.text, device.text)
	}
	var files strings.Builder
	for _, name := range []string{s.file, s.file + "-wal"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files.Write(text)
	}
	for _, stored := range []string{s.userID(john), "stolen-tv", backend} {
		if !strings.Contains(files.String(), stored) {
			t.Errorf("the files do not have %s, so they say nothing about secrets", stored)
		}
	}
}
