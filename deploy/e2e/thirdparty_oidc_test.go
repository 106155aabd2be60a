package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

// relyingParty is a web application that logs users in with go-oidc.
type relyingParty struct {
	*system
	provider *oidc.Provider
	config   oauth2.Config
}

// startRelyingParty starts the servers and discovers the provider. The client web is registered without a scope
// about users, as clients of earlier versions are.
func startRelyingParty(t *testing.T, algorithm string) *relyingParty {
	t.Helper()
	s, secrets := startForThirdParty(t, algorithm)
	s.admin(t, "", "user", "set", "john.doe", "--email", "john@example.com", "--email-verified", "--group", "staff")
	provider, err := oidc.NewProvider(t.Context(), s.authURL)
	if err != nil {
		t.Fatal(err)
	}
	config := s.goConfig("web", secrets["web"])
	config.Endpoint = provider.Endpoint()
	config.Scopes = []string{oidc.ScopeOpenID, "profile", "email", "groups"}
	return &relyingParty{system: s, provider: provider, config: config}
}

// login logs a person in and returns the tokens and the verified ID token.
func (r *relyingParty) login(t *testing.T, p *person, nonce string, more ...oauth2.AuthCodeOption) (
	*oauth2.Token, *oidc.IDToken,
) {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	back := r.goAuthorize(t, p, r.config, "allow", verifier, append(more, oidc.Nonce(nonce))...)
	tokens, err := r.config.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("%v: %v", back, err)
	}
	return tokens, r.verify(t, tokens)
}

// verify verifies the ID token of a response, and that it belongs to the access token.
func (r *relyingParty) verify(t *testing.T, tokens *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := tokens.Extra("id_token").(string)
	id, err := r.provider.VerifierContext(t.Context(), &oidc.Config{ClientID: r.config.ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
		t.Error(err)
	}
	return id
}

// coreos/go-oidc discovers the server, verifies the ID tokens of a login and of a refresh, and asks for the
// user's claims. The client is set to each algorithm.
func TestThirdPartyGoOpenIDConnect(t *testing.T) {
	t.Parallel()
	r := startRelyingParty(t, "HS256")
	john := newPerson(t, "john.doe", demoPassword)
	started := time.Now().Add(-time.Second)
	tokens, id := r.login(t, john, "nonce of the first login")
	if id.Nonce != "nonce of the first login" || id.Issuer != r.authURL || !slices.Equal(id.Audience, []string{"web"}) {
		t.Errorf("ID token %+v", id)
	}
	type identity struct {
		Name     string   `json:"name"`
		Username string   `json:"preferred_username"`
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Groups   []string `json:"groups"`
	}
	want := identity{"John Doe", "john.doe", "john@example.com", true, []string{"staff"}}
	var got identity
	if err := id.Claims(&got); err != nil || !cmp.Equal(want, got) {
		t.Errorf("claims of the ID token: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	var login struct {
		At      int64    `json:"auth_time"`
		Methods []string `json:"amr"`
		Session string   `json:"sid"`
	}
	if err := id.Claims(&login); err != nil || time.Unix(login.At, 0).Before(started.Truncate(time.Second)) ||
		!slices.Equal(login.Methods, []string{"pwd"}) || login.Session == "" {
		t.Errorf("login %+v, %v", login, err)
	}
	info, err := r.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(tokens))
	if err != nil {
		t.Fatal(err)
	}
	got = identity{}
	if err := info.Claims(&got); err != nil || !cmp.Equal(want, got) || info.Subject != id.Subject ||
		info.Email != want.Email || !info.EmailVerified {
		t.Errorf("userinfo %+v, %v (-want +got):\n%s", info, err, cmp.Diff(want, got))
	}

	fresh, err := r.config.TokenSource(t.Context(), expired(tokens)).Token()
	if err != nil {
		t.Fatal(err)
	}
	if again := r.verify(t, fresh); again.Subject != id.Subject || again.Nonce != "" {
		t.Errorf("refreshed ID token %+v", again)
	}
	r.callWith(t, r.config.Client(context.Background(), fresh), "John Doe")

	for _, algorithm := range []string{"ES256", "EdDSA"} {
		mustCommand(t, "", "authserver", "key", "rotate", r.keysFile, "--id-tokens", "--algorithm", algorithm,
			"--signs-after", "0s")
		r.admin(t, "", "client", "set", "web", "--id-token-alg", algorithm)
		waitFor(t, "the key to be read", func() bool {
			return slices.Contains(r.discover(t).Algorithms, algorithm)
		}, r.authserver)
		var err error
		if r.provider, err = oidc.NewProvider(t.Context(), r.authURL); err != nil {
			t.Fatal(err)
		}
		tokens, id := r.login(t, john, "n")
		raw, _ := tokens.Extra("id_token").(string)
		parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
		if err != nil || parsed.Header["alg"] != algorithm || id.Subject == "" {
			t.Errorf("%s: %v, %v", algorithm, parsed, err)
		}
	}
}

// discovered is what the tests read in the metadata.
type discovered struct {
	Scopes     []string `json:"scopes_supported"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

func (s *system) discover(t *testing.T) (d discovered) {
	t.Helper()
	got := send(t, s.authURL, get("/.well-known/openid-configuration", ""))
	if err := json.Unmarshal([]byte(got.body), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Neither token passes for the other, and a client notices a login that it did not ask for.
func TestThirdPartyGoOpenIDConnectRefusals(t *testing.T) {
	t.Parallel()
	r := startRelyingParty(t, "HS256")
	john := newPerson(t, "john.doe", demoPassword)
	tokens, id := r.login(t, john, "n1")
	raw, _ := tokens.Extra("id_token").(string)
	verifier := r.provider.Verifier(&oidc.Config{ClientID: "web"})

	if got := send(t, r.apiURL, get("/users/me", "Bearer "+raw)); got.status != http.StatusUnauthorized {
		t.Errorf("the API accepts an ID token: %d %s", got.status, got.body)
	}
	if got := send(t, r.authURL, get("/userinfo", "Bearer "+raw)); got.status != http.StatusUnauthorized {
		t.Errorf("userinfo accepts an ID token: %d %s", got.status, got.body)
	}
	if _, err := verifier.Verify(t.Context(), tokens.AccessToken); err == nil {
		t.Error("the client accepts an access token as ID token")
	}
	other := r.provider.Verifier(&oidc.Config{ClientID: "native"})
	if _, err := other.Verify(t.Context(), raw); err == nil {
		t.Error("another client accepts the ID token")
	}
	if id.Nonce == "n2" {
		t.Error("the nonce is that of another login")
	}
	if again, _ := r.login(t, john, ""); r.verify(t, again).Nonce != "" {
		t.Error("a login without a nonce has one")
	}

	set := oauth2.SetAuthURLParam
	nobody := newPerson(t, "john.doe", demoPassword)
	jane := newPerson(t, "jane.smith", "anothersecurepass")
	for _, tt := range []struct {
		name    string
		person  *person
		options []oauth2.AuthCodeOption
		want    string
	}{
		{"prompt=none, nobody logged in", nobody, []oauth2.AuthCodeOption{set("prompt", "none")}, "login_required"},
		{"another user logs in", jane, []oauth2.AuthCodeOption{set("id_token_hint", raw)}, "login_required"},
		{"the user of the hint", john, []oauth2.AuthCodeOption{set("id_token_hint", raw), set("prompt", "none")}, ""},
		{"request", john, []oauth2.AuthCodeOption{set("request", "x")}, "request_not_supported"},
		{"request_uri", john, []oauth2.AuthCodeOption{set("request_uri", "https://x.example")}, "request_uri_not_supported"},
	} {
		back := r.goAuthorize(t, tt.person, r.config, "allow", oauth2.GenerateVerifier(), tt.options...)
		if back.Get("error") != tt.want || back.Has("code") != (tt.want == "") {
			t.Errorf("%s: %v, want %s", tt.name, back, tt.want)
		}
	}
}

// A server with HALLPASS_TOKEN_SECRET, or a keys file of an earlier version, has no OpenID Connect, says so, and gets
// it by a rotation of its keys. The API goes on with the file of its own.
func TestOpenIDConnectByKeyRotation(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.useKeysOfEarlierVersion(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	if d := s.discover(t); slices.Contains(d.Scopes, "openid") || d.Algorithms != nil {
		t.Errorf("without a key: %+v", d)
	}
	login := form("username", "john.doe", "password", demoPassword, "scope", "openid profile")
	got := send(t, s.authURL, login)
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "HALLPASS_KEYS_FILE") {
		t.Errorf("openid without a key: %d %s", got.status, got.body)
	}
	before := send(t, s.authURL, form("username", "john.doe", "password", demoPassword)).text(t, "access_token")
	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile) // the first key signs after 20 minutes
	mustCommand(t, "", "authserver", "key", "rotate", s.keysFile, "--id-tokens", "--signs-after", "0s")
	waitFor(t, "a login with an ID token", func() bool {
		got = send(t, s.authURL, login)
		return got.status == http.StatusOK
	}, s.authserver)
	if got.text(t, "id_token") == "" || !slices.Contains(s.discover(t).Scopes, "openid") {
		t.Errorf("with a key: %s", got.body)
	}
	checkAPI(t, s, before)
	// The API that has read the server's file so far is restarted with its own.
	s.resourceserver.stop(t)
	s.startResourceserver(t)
	checkAPI(t, s, before)
	checkAPI(t, s, got.text(t, "access_token"))
	for _, p := range []*process{s.authserver, s.resourceserver} {
		p.stop(t)
	}
	if strings.Contains(s.resourceserver.output.String(), "private key") {
		t.Errorf("the API has a private key:\n%s", s.resourceserver.output.String())
	}
}

// checkAPI checks that the API accepts a token.
func checkAPI(t *testing.T, s *system, access string) {
	t.Helper()
	if got := send(t, s.apiURL, get("/users/me", "Bearer "+access)); got.status != http.StatusOK {
		t.Errorf("the API responds with %d %s", got.status, got.body)
	}
}
