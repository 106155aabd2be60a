package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// addReader registers a confidential client that may log users in, refresh and introspect.
func (s *site) addReader() (change change) {
	s.t.Helper()
	secret, digest, err := client.GenerateSecret(strings.NewReader(strings.Repeat("r", 64)))
	s.must(err)
	s.hide(secret)
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: "reader", Name: "Reader", SecretDigest: digest, Introspects: true, Scope: oauth.Scope{"profile", "items:read"},
		IntrospectsFor: []string{client.DefaultAPI},
		Grants:         []oauth.GrantType{oauth.GrantPassword, oauth.GrantRefreshToken, oauth.GrantClientCredentials},
		CreatedAt:      s.clock(),
	}))
	return basic("reader", secret)
}

// ask sends a token to an endpoint that is about a token, and returns the decoded response.
func (s *site) ask(path, token string, changes ...change) (answer, map[string]any) {
	s.t.Helper()
	r := s.request(url.Values{"token": {token}}.Encode(), changes...)
	r.URL.Path = path
	got := s.send(r)
	var said map[string]any
	got.decode(&said)
	return got, said
}

// userinfo calls GET /userinfo with an access token.
func (s *site) userinfo(token string) (answer, map[string]any) {
	s.t.Helper()
	got := s.get("/userinfo", header("Authorization", "Bearer "+token))
	var said map[string]any
	got.decode(&said)
	return got, said
}

// A user's names are shown with the scope profile only: in access tokens, at /userinfo and by
// introspection, for refreshed tokens too (RFC 9068 section 2.2.2, RFC 7662 section 5).
func TestNamesNeedTheScopeProfile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	for scope, shown := range map[string]bool{
		"profile": true, "profile items:read": true, "items:read": false,
	} {
		first := s.post(login("grant_type", "password", "scope", scope), reader)
		refresh, _ := first.body["refresh_token"].(string)
		s.hide(refresh)
		renewed := s.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}.Encode(), reader)
		refresh, _ = renewed.body["refresh_token"].(string)
		s.hide(refresh)
		for what, got := range map[string]answer{"first": first, "renewed": renewed} {
			claims := s.expectOK(what, got)
			if (claims.Username == john) != shown || (claims.Name == "John Doe") != shown {
				t.Errorf("%s, %s: the token shows %q and %q", scope, what, claims.Username, claims.Name)
			}
			raw, _ := got.body["access_token"].(string)
			_, said := s.userinfo(raw)
			if said["sub"] != claims.Subject || (said["preferred_username"] == john) != shown ||
				(said["name"] == "John Doe") != shown {
				t.Errorf("%s, %s: /userinfo says %v", scope, what, said)
			}
			for _, token := range []string{raw, refresh} {
				_, said := s.ask("/introspect", token, reader)
				if said["active"] != true || said["sub"] != claims.Subject || (said["username"] == john) != shown {
					t.Errorf("%s, %s: introspection says %v", scope, what, said)
				}
			}
		}
	}
}

// A token narrowed on refresh does not show the names that its grant would (RFC 6749 section 6).
func TestNarrowedTokenShowsNoNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	first := s.post(login("grant_type", "password", "scope", "profile items:read"), reader)
	refresh, _ := first.body["refresh_token"].(string)
	s.hide(refresh)
	narrowed := s.post(url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "scope": {"items:read"},
	}.Encode(), reader)
	if claims := s.expectOK("narrowed", narrowed); claims.Username+claims.Name != "" {
		t.Errorf("the token shows %q and %q", claims.Username, claims.Name)
	}
	raw, _ := narrowed.body["access_token"].(string)
	if _, said := s.ask("/introspect", raw, reader); said["active"] != true || said["username"] != nil {
		t.Errorf("introspection says %v", said)
	}
	if _, said := s.userinfo(raw); said["sub"] == nil || said["name"] != nil || said["preferred_username"] != nil {
		t.Errorf("/userinfo says %v", said)
	}
}

// RFC 6750 section 3.1: the token of a service is valid, but not enough for /userinfo.
func TestUserinfoOfAService(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reader := s.addReader()
	raw, _ := s.post("grant_type=client_credentials", reader).body["access_token"].(string)
	got, _ := s.userinfo(raw)
	challenge := got.header.Get("WWW-Authenticate")
	if got.status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) {
		t.Errorf("got %d with the challenge %s", got.status, challenge)
	}
	s.ask("/revoke", raw, reader)
	got, _ = s.userinfo(raw)
	challenge = got.header.Get("WWW-Authenticate")
	if got.status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("revoked: got %d with the challenge %s", got.status, challenge)
	}
}
