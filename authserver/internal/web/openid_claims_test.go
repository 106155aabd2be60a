package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// OpenID Connect Core sections 5.3 to 5.5: the scope shows claims, in the ID token and at the userinfo endpoint.
func TestClaims(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	updated := float64(s.clock().Unix())
	profile := map[string]any{"name": "John Doe", "preferred_username": john, "updated_at": updated}
	email := map[string]any{"email": "john@example.com", "email_verified": true}
	groups := map[string]any{"groups": []any{"admins", "staff"}}
	for _, tt := range []struct {
		name   string
		change []string
		scope  string
		want   []map[string]any
	}{
		{"openid", nil, "openid", nil},
		{"profile", []string{"scope", "openid profile"}, "openid profile", []map[string]any{profile}},
		{"email", []string{"scope", "email openid"}, "email openid", []map[string]any{email}},
		{"groups and a scope of the API", []string{"scope", "openid groups items:read"}, "openid groups items:read",
			[]map[string]any{groups}},
		{"claims", []string{"claims", `{"userinfo":{"email":null,"nickname":null},"id_token":{"groups":{"essential":true}}}`},
			"openid email groups", []map[string]any{email, groups}},
	} {
		got := s.redeem(tt.name, s.serve(withCookie(openIDRequest(tt.change...), cookie)))
		if got.body["scope"] != tt.scope {
			t.Errorf("%s: scope %v, want %s", tt.name, got.body["scope"], tt.scope)
		}
		want := map[string]any{"sub": s.userID(john)}
		for _, claims := range tt.want {
			for name, value := range claims {
				want[name] = value
			}
		}
		claims := s.idToken(tt.name, got)
		for _, name := range []string{"iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "acr", "amr", "sid"} {
			if claims[name] == nil {
				t.Errorf("%s: the ID token has no %s", tt.name, name)
			}
			delete(claims, name)
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s: ID token (-want +got):\n%s", tt.name, diff)
		}
		access, _ := got.body["access_token"].(string)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			answer := s.get("/userinfo", header("Authorization", "Bearer "+access), func(r *http.Request) { r.Method = method })
			var info map[string]any
			answer.decode(&info)
			if diff := cmp.Diff(want, info); diff != "" || answer.status != http.StatusOK {
				t.Errorf("%s: %s /userinfo: %d (-want +got):\n%s", tt.name, method, answer.status, diff)
			}
		}
	}
	got := s.get("/userinfo", func(r *http.Request) { r.Method = http.MethodPost })
	if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("without a token: %d %v", got.status, got.header)
	}
}

// A client may ask for the scopes about the user with openid, unless its registered scope says otherwise.
func TestScopesAboutTheUser(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	for _, tt := range []struct {
		registered, asked, want string // want is empty for invalid_scope
	}{
		{"items:read", "openid profile email groups", "openid profile email groups"},
		{"items:read", "openid items:read", "openid items:read"},
		{"items:read", "openid items:write", ""},
		{"items:read", "openid offline_access email address phone", "openid email"},
		{"items:read phone", "openid phone address", "openid phone"},
		{"items:read", "offline_access items:read", ""},
		{"items:read", "email", ""},
		{"items:read", "profile", ""},
		{"items:read", "", "items:read"},
		{"profile items:read", "openid email", "openid email"},
		{"profile items:read", "profile", "profile"},
		{"openid email", "openid email", "openid email"},
		{"openid email", "openid groups", ""},
		{"openid email", "", "openid email"},
	} {
		_, err := s.data.UpdateClient(t.Context(), openIDApp, s.clock(), func(c client.Client) (client.Client, error) {
			c.Scope = strings.Fields(tt.registered)
			return c, nil
		})
		s.must(err)
		s.wait(issuing.CacheTime)
		name := tt.registered + ": " + tt.asked
		got := s.serve(withCookie(openIDRequest("scope", tt.asked, "state", "st"), cookie))
		if tt.want == "" {
			s.expectError(name, got, "invalid_scope")
			continue
		}
		token := s.redeem(name, got)
		if token.body["scope"] != tt.want || (token.body["id_token"] != nil) != strings.Contains(tt.want, "openid") {
			t.Errorf("%s: %s, want %s", name, token.text, tt.want)
		}
	}
}

// Groups and names are in the access tokens of APIs that have asked for the scope, and of no others. The default
// API takes every scope.
func TestGroupsOfAccessTokens(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp()
	cookie := s.sessionCookie()
	for audience, scope := range map[string]oauth.Scope{
		groupsAPI: {"items:read", "groups", "profile"},
		itemsAPI:  {"items:read"},
	} {
		s.must(s.data.CreateAPI(t.Context(),
			resource.API{Audience: audience, Name: "API", Scope: scope, CreatedAt: s.clock()}))
	}
	for _, tt := range []struct {
		resource, scope string
		want            bool
	}{
		{"", "openid groups profile", true},
		{"", "openid items:read", false},
		{groupsAPI, "openid groups profile items:read", true},
		{groupsAPI, "openid items:read", false},
		{itemsAPI, "openid groups profile items:read", false},
	} {
		name := tt.resource + " " + tt.scope
		got := s.redeem(name, s.serve(withCookie(openIDRequest("scope", tt.scope, "resource", tt.resource), cookie)))
		access, _ := got.body["access_token"].(string)
		claims := jwt.MapClaims{}
		_, _, err := jwt.NewParser().ParseUnverified(access, claims)
		s.must(err)
		if (claims["groups"] != nil) != tt.want || (claims["preferred_username"] != nil) != tt.want ||
			claims["scope"] != tt.scope || claims["aud"].([]any)[0] != withDefault(tt.resource, audience) {
			t.Errorf("%s: the API sees %v", name, claims)
		}
		if id := s.idToken(name, got); (id["groups"] != nil) != strings.Contains(tt.scope, "groups") {
			t.Errorf("%s: the client sees %v", name, id)
		}
	}
}

// The consent page says what each scope about the user means.
func TestConsentToScopesAboutTheUser(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	s.addOpenIDApp(func(c *client.Client) { c.FirstParty = false })
	cookie := s.sessionCookie()
	request := []string{"scope", "openid profile email groups", "state", "st"}
	got := s.serve(withCookie(openIDRequest(request...), cookie))
	for _, text := range []string{"Log you in", "See your email address", "See which groups you are in"} {
		if !strings.Contains(got.text, text) {
			t.Errorf("the page does not say %q:\n%s", text, got.text)
		}
	}
	s.expectError("prompt=none", s.serve(withCookie(openIDRequest(append(request, "prompt", "none")...), cookie)),
		"consent_required")
}

// The password grant has an ID token too: its user has just logged in, in no browser.
func TestIDTokenOfThePasswordGrant(t *testing.T) {
	t.Parallel()
	s := newOpenIDSite(t, keyring.RS256)
	got := s.post(login("scope", "openid profile"))
	claims := s.idToken("password", got)
	if claims["aud"] != demo || claims["auth_time"] != float64(s.clock().Unix()) || claims["name"] != "John Doe" ||
		claims["sid"] != nil || claims["nonce"] != nil {
		t.Errorf("claims %v", claims)
	}
	plain := s.post(login("scope", "profile"))
	if plain.status != http.StatusOK || plain.body["id_token"] != nil {
		t.Errorf("without openid: %s", plain.text)
	}
}
