package web_test

import (
	"crypto/rand"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// RFC 7662 section 2.2: exp of a refresh token is its own expiry, even if an access token
// of the same grant expires later.
func TestIntrospectRefreshTokenExpiry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addClient("refresher", "", oauth.GrantPassword, oauth.GrantRefreshToken)
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.hide(secret)
	s.must(s.data.CreateClient(t.Context(), client.Client{
		ID: "gateway", Name: "Gateway", SecretDigest: digest, Grants: []oauth.GrantType{oauth.GrantClientCredentials},
		Scope: oauth.Scope{"profile"}, Introspects: true, CreatedAt: s.clock(),
	}))
	end := s.clock().Add(24 * time.Hour)
	got := s.post(login("client_id", "refresher", "grant_type", "password"))
	const pause = 59 * time.Minute // less than the idle timeout of refresh tokens
	for s.clock().Add(lifetime).Before(end) {
		s.expectOK("a token", got)
		s.wait(pause)
		refresh, _ := got.body["refresh_token"].(string)
		got = s.post(url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"refresher"}, "refresh_token": {refresh},
		}.Encode())
	}
	s.expectOK("the last token", got)
	refresh, _ := got.body["refresh_token"].(string)
	s.hide(refresh)

	r := s.request(url.Values{"token": {refresh}}.Encode(), basic("gateway", secret))
	r.URL.Path = "/introspect"
	response := s.send(r)
	var said map[string]any
	s.must(json.Unmarshal([]byte(response.text), &said))
	if said["active"] != true || said["exp"] != float64(end.Unix()) {
		t.Errorf("got %s, want active and exp %d", response.text, end.Unix())
	}
}
