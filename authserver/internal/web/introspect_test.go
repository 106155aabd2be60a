package web_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// RFC 7662 section 4: a client learns about access tokens of its own APIs and about its own refresh
// tokens, which no API can take for an access token.
func TestIntrospectionIsBoundToTheClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	clients := map[string]change{"reader": reader}
	for id, audiences := range map[string][]string{
		"gateway": {client.DefaultAPI}, "named": {audience}, "slash": {audience + "/"}, "other": {"https://other.example"},
		"both": {"https://other.example", client.DefaultAPI}, "none": nil,
	} {
		secret, digest, err := client.GenerateSecret(rand.Reader)
		s.must(err)
		s.hide(secret)
		s.must(s.data.CreateClient(t.Context(), client.Client{
			ID: id, Name: id, SecretDigest: digest, Introspects: true, IntrospectsFor: audiences,
			Grants: []oauth.GrantType{oauth.GrantClientCredentials}, Scope: oauth.Scope{"profile"}, CreatedAt: s.clock(),
		}))
		clients[id] = basic(id, secret)
	}
	issued := s.post(login("grant_type", "password"), reader)
	access, _ := issued.body["access_token"].(string)
	refresh, _ := issued.body["refresh_token"].(string)
	s.hide(refresh)
	service, _ := s.post("grant_type=client_credentials", clients["other"]).body["access_token"].(string)
	for id, want := range map[string]bool{
		"reader": true, "gateway": true, "named": true, "slash": true, "both": true, "other": false, "none": false,
	} {
		for what, token := range map[string]string{"a user's": access, "a service's": service} {
			_, said := s.ask("/introspect", token, clients[id])
			if said["active"] != want || (said["token_type"] == "bearer") != want || !want && len(said) > 1 {
				t.Errorf("%s asks about %s access token: %v, want %v", id, what, said, want)
			}
		}
		_, said := s.ask("/introspect", refresh, clients[id])
		if own := id == "reader"; said["active"] != own || (said["token_type"] == "refresh_token") != own ||
			said["aud"] != nil || !own && len(said) > 1 {
			t.Errorf("%s asks about a refresh token: %v", id, said)
		}
	}
}

// RFC 7662 section 2.1: a request without credentials is refused, whatever the default client is.
func TestIntrospectionNeedsCredentials(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, defaultClient := range []string{demo, ""} {
		s := newSite(t, func(cfg *web.Config) { cfg.DefaultClient = defaultClient })
		for _, body := range []string{"", "token=x", "token=x&client_id=" + demo, "token=x&client_id=nobody"} {
			r := s.request(body)
			r.URL.Path = "/introspect"
			s.tokenAnswer(s.send(r)).expect("introspecting "+body, http.StatusUnauthorized, oauth.CodeInvalidClient, "")
		}
	}
	r := s.request("token=x", basic(backend, s.secrets[backend]))
	r.URL.Path = "/introspect"
	s.tokenAnswer(s.send(r)).expect("a client that may not", http.StatusBadRequest, oauth.CodeUnauthorizedClient, "")
}

// RFC 7662 section 2.2: exp of a refresh token is its own expiry, even if an access token
// of the same grant expires later.
func TestIntrospectRefreshTokenExpiry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	end := s.clock().Add(24 * time.Hour)
	got := s.post(login("grant_type", "password"), reader)
	const pause = 59 * time.Minute // less than the idle timeout of refresh tokens
	for s.clock().Add(lifetime).Before(end) {
		s.expectOK("a token", got)
		s.wait(pause)
		refresh, _ := got.body["refresh_token"].(string)
		got = s.post(url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {refresh},
		}.Encode(), reader)
	}
	s.expectOK("the last token", got)
	refresh, _ := got.body["refresh_token"].(string)
	s.hide(refresh)

	response, said := s.ask("/introspect", refresh, reader)
	if said["active"] != true || said["exp"] != float64(end.Unix()) {
		t.Errorf("got %s, want active and exp %d", response.text, end.Unix())
	}
}
