package web_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// orders is the client that the default API is: it exchanges its tokens for items and groups. shipping is the one
// that items is. Both may introspect.
const (
	orders   = "orders"
	shipping = "shipping"
)

// exchangeSite is a site whose APIs act for users at each other.
type exchangeSite struct {
	*site
	auth map[string]change
}

func newExchangeSite(t *testing.T) *exchangeSite {
	t.Helper()
	s := &exchangeSite{newOpenIDSite(t, keyring.RS256), map[string]change{}}
	s.addOpenIDApp(func(c *client.Client) { c.Scope = oauth.Scope{"items:read", "items:write", "profile"} })
	for _, api := range []string{itemsAPI, groupsAPI} {
		s.must(s.data.CreateAPI(t.Context(), resource.API{
			Audience: api, Name: api, Scope: oauth.Scope{"items:read", "profile"}, CreatedAt: s.clock(),
		}))
	}
	s.addAPIClient(orders, []string{client.DefaultAPI}, []string{itemsAPI, client.DefaultAPI})
	s.addAPIClient(shipping, []string{itemsAPI}, []string{groupsAPI, itemsAPI})
	return s
}

// addAPIClient registers a client that is an API and exchanges tokens.
func (s *exchangeSite) addAPIClient(id string, from, to []string) {
	s.t.Helper()
	secret, digest, err := client.GenerateSecret(strings.NewReader(strings.Repeat(id[:1], 64)))
	s.must(err)
	s.hide(secret)
	s.secrets[id], s.auth[id] = secret, basic(id, secret)
	s.must(s.data.CreateClient(s.t.Context(), client.Client{
		ID: id, Name: id, SecretDigest: digest, CreatedAt: s.clock(), Scope: oauth.Scope{"items:read", "profile"},
		Grants:       []oauth.GrantType{oauth.GrantTokenExchange, oauth.GrantClientCredentials},
		ExchangeFrom: from, ExchangeTo: to,
		Introspects: true, IntrospectsFor: []string{client.DefaultAPI, itemsAPI, groupsAPI},
	}))
}

// userToken logs john in at openIDApp and returns the response, for the default API.
func (s *exchangeSite) userToken(scope string) answer {
	s.t.Helper()
	got := s.redeem("login", s.serve(withCookie(openIDRequest("scope", scope), s.sessionCookie())))
	refresh, _ := got.body["refresh_token"].(string)
	s.hide(refresh)
	return got
}

// exchange exchanges a token as a client for another API, with changes: name, value and so on.
func (s *exchangeSite) exchange(as, subject, api string, changes ...string) answer {
	s.t.Helper()
	form := url.Values{
		"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {subject},
		"subject_token_type": {oauth.TokenTypeAccess}, "resource": {api},
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return s.post(form.Encode(), s.auth[as])
}

func access(a answer) string {
	raw, _ := a.body["access_token"].(string)
	return raw
}

// claims verifies a token as an API does.
func (s *exchangeSite) claims(what, api string, a answer) *token.Claims {
	s.t.Helper()
	v, err := token.NewVerifier(token.VerifierConfig{
		Keys: s.ring, Issuer: issuer, Audience: api, Now: s.clock, Leeway: -1,
	})
	s.must(err)
	claims, err := v.Verify(s.t.Context(), access(a))
	if err != nil {
		s.t.Fatalf("%s: %v in %s", what, err, a.text)
	}
	return claims
}

// revokedAt returns the bit of a token in the status list of its API.
func (s *exchangeSite) revokedAt(api string, claims *token.Claims) bool {
	s.t.Helper()
	s.wait(200 * time.Millisecond)
	got := s.get(strings.TrimPrefix(claims.Status.URI, issuer))
	list, err := statuslist.Verify(got.text, statuslist.Expected{
		URI: claims.Status.URI, Keys: s.ring, Audience: api, Now: s.clock(),
	})
	if err != nil {
		s.t.Fatalf("%s: %v", claims.Status.URI, err)
	}
	revoked, _ := list.List.Revoked(claims.Status.Index)
	return revoked
}

// RFC 8693 sections 2.2.1 and 4: the new token is for the same user at another API, and says who acts.
func TestTokenExchange(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	subject := s.userToken("items:read items:write profile")
	until := s.clock().Add(lifetime)
	s.wait(10 * time.Minute)
	first := s.exchange(orders, access(subject), itemsAPI)
	got := s.claims("first", itemsAPI, first)
	want := map[string]any{
		"access_token": access(first), "token_type": "bearer", "expires_in": float64(20 * 60),
		"scope": "items:read profile", "issued_token_type": oauth.TokenTypeAccess,
	}
	if diff := cmp.Diff(want, first.body); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	if got.Subject != s.userID(john) || got.ClientID != orders || !cmp.Equal(got.Actors, []string{orders}) ||
		got.Scope.String() != "items:read profile" || !got.ExpiresAt.Equal(until) || got.Username != john {
		t.Errorf("claims %+v", got)
	}

	second := s.exchange(shipping, access(first), "", "audience", groupsAPI, "scope", "items:read",
		"requested_token_type", oauth.TokenTypeAccess)
	got = s.claims("second", groupsAPI, second)
	if got.ClientID != shipping || !cmp.Equal(got.Actors, []string{shipping, orders}) || got.Username != "" ||
		got.Scope.String() != "items:read" || !got.ExpiresAt.Equal(until) {
		t.Errorf("claims %+v", got)
	}
	_, said := s.ask("/introspect", access(second), s.auth[orders])
	act := map[string]any{"sub": shipping, "act": map[string]any{"sub": orders}}
	if diff := cmp.Diff(act, said["act"]); diff != "" || said["active"] != true || said["sub"] != s.userID(john) ||
		said["client_id"] != shipping {
		t.Errorf("introspection %v, act (-want +got):\n%s", said, diff)
	}
	_, said = s.ask("/introspect", access(subject), s.auth[orders])
	if said["active"] != true || said["act"] != nil {
		t.Errorf("introspection of the subject token: %v", said)
	}
}

// An exchange never widens, and an unfit subject token gives nothing (RFC 8693 section 2.2.2).
func TestTokenExchangeRefused(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	openID := s.userToken("openid items:read")
	good := access(s.userToken("items:read"))
	service := access(s.post("grant_type=client_credentials", s.auth[orders]))
	exchanged := access(s.exchange(orders, good, itemsAPI))
	idToken, _ := openID.body["id_token"].(string)
	refresh, _ := openID.body["refresh_token"].(string)
	s.hide(idToken)
	head, _, _ := strings.Cut(good, ".")
	for _, tt := range []struct {
		name, as, subject, api string
		changes                []string
		code                   oauth.ErrorCode
		says                   string
	}{
		{"scope that the token lacks", orders, good, itemsAPI, []string{"scope", "items:read profile"}, "invalid_scope", "subject_token does not have the scope profile"},
		{"scope that the client lacks", orders, access(s.userToken("items:write")), itemsAPI, []string{"scope", "items:write"}, "invalid_scope", "may not ask"},
		{"nothing in common", orders, access(s.userToken("items:write")), itemsAPI, nil, "invalid_scope", ""},
		{"malformed scope", orders, good, itemsAPI, []string{"scope", "\""}, "invalid_scope", ""},
		{"API that the client may not call", orders, good, groupsAPI, nil, "invalid_target", "may not exchange tokens for that API"},
		{"unknown API", orders, good, "https://nowhere.example", nil, "invalid_target", ""},
		{"no API", orders, good, "", nil, "invalid_request", "missing: resource"},
		{"two APIs", orders, good, itemsAPI, []string{"audience", groupsAPI}, "invalid_target", "two APIs"},
		{"token for another API", shipping, good, groupsAPI, nil, "invalid_request", "may not exchange"},
		{"exchanged token for another API", orders, exchanged, itemsAPI, nil, "invalid_request", "may not exchange"},
		{"service's token", orders, service, itemsAPI, nil, "invalid_request", "no user"},
		{"ID token", orders, idToken, itemsAPI, nil, "invalid_request", "not an access token"},
		{"refresh token", orders, refresh, itemsAPI, nil, "invalid_request", "not an access token"},
		{"garbage", orders, "x", itemsAPI, nil, "invalid_request", "not an access token"},
		{"unsigned token", orders, unsigned(good), itemsAPI, nil, "invalid_request", "not an access token"},
		{"token without a signature", orders, head, itemsAPI, nil, "invalid_request", "not an access token"},
		{"no token", orders, "", itemsAPI, []string{"subject_token", ""}, "invalid_request", "missing: subject_token"},
		{"no type", orders, good, itemsAPI, []string{"subject_token_type", ""}, "invalid_request", "missing: subject_token_type"},
		{"type of ID tokens", orders, good, itemsAPI, []string{"subject_token_type", "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request", "subject_token_type"},
		{"refresh token wanted", orders, good, itemsAPI, []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request", "requested_token_type"},
		{"actor token", orders, good, itemsAPI, []string{"actor_token", service, "actor_token_type", oauth.TokenTypeAccess}, "invalid_request", "actor_token"},
		{"grant type that the client may not use", "", good, itemsAPI, []string{"client_id", openIDApp}, "unauthorized_client", ""},
	} {
		changes := tt.changes
		if tt.as == "" {
			s.auth[""] = func(*http.Request) {}
		}
		s.exchange(tt.as, tt.subject, tt.api, changes...).expect(tt.name, http.StatusBadRequest, tt.code, tt.says)
	}
	repeated := url.Values{
		"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {good, good},
		"subject_token_type": {oauth.TokenTypeAccess}, "resource": {itemsAPI},
	}
	s.post(repeated.Encode(), s.auth[orders]).expect(
		"repeated", http.StatusBadRequest, oauth.CodeInvalidRequest, "subject_token")
	s.post(url.Values{
		"grant_type": {string(oauth.GrantTokenExchange)}, "subject_token": {good},
		"subject_token_type": {oauth.TokenTypeAccess}, "resource": {itemsAPI},
	}.Encode(), basic(orders, "wrong")).expect("wrong secret", http.StatusUnauthorized, oauth.CodeInvalidClient, "")

	s.wait(lifetime)
	s.exchange(orders, good, itemsAPI).expect("expired", http.StatusBadRequest, oauth.CodeInvalidRequest, "expired")
}

// A token is exchanged a limited number of times.
func TestTokenExchangeDepth(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	raw := access(s.userToken("items:read"))
	for i := range grant.MaxActors {
		got := s.exchange(orders, raw, audience)
		if claims := s.claims("exchange", audience, got); len(claims.Actors) != i+1 {
			t.Errorf("exchange %d: actors %v", i, claims.Actors)
		}
		raw = access(got)
	}
	s.exchange(orders, raw, audience).expect("too deep", http.StatusBadRequest, oauth.CodeInvalidRequest, "4 times")
}

// What ends the login ends the exchanged tokens, at every API. What ends an exchange leaves the login.
func TestExchangedTokensEndWithTheirGrant(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	chain := func() (subject, first, second answer) {
		subject = s.userToken("items:read")
		first = s.exchange(orders, access(subject), itemsAPI)
		return subject, first, s.exchange(shipping, access(first), groupsAPI)
	}
	expect := func(what string, want bool, as map[string]answer) {
		t.Helper()
		for api, a := range as {
			claims := s.claims(what, api, a)
			_, said := s.ask("/introspect", access(a), s.auth[orders])
			if revoked := s.revokedAt(api, claims); revoked != want || said["active"] == want {
				t.Errorf("%s: token for %s is revoked in the list: %v; introspection says %v", what, api, revoked, said)
			}
		}
	}
	revoke := func(raw, body string, changes ...change) {
		r := s.request("token="+raw+body, changes...)
		r.URL.Path = "/revoke"
		if got := s.send(r); got.status != http.StatusOK {
			t.Fatalf("revoke: %d %s", got.status, got.text)
		}
	}
	subject, first, second := chain()
	all := map[string]answer{audience: subject, itemsAPI: first, groupsAPI: second}
	expect("issued", false, all)
	refresh, _ := subject.body["refresh_token"].(string)
	revoke(refresh, "&client_id="+openIDApp)
	expect("login revoked", true, all)
	s.exchange(orders, access(subject), itemsAPI).expect(
		"revoked", http.StatusBadRequest, oauth.CodeInvalidRequest, "revoked")

	subject, first, second = chain()
	revoke(access(first), "", s.auth[orders])
	expect("exchange revoked", true, map[string]answer{itemsAPI: first, groupsAPI: second})
	expect("exchange revoked", false, map[string]answer{audience: subject})

	subject, first, second = chain()
	s.must(s.data.LogOut(t.Context(), john, "", s.clock()))
	expect("logged out", true, map[string]answer{audience: subject, itemsAPI: first, groupsAPI: second})

	subject, first, _ = chain()
	s.must(s.data.DeleteClient(t.Context(), orders, s.clock()))
	expect("API's client deleted", true, map[string]answer{itemsAPI: first})
	s.auth[orders] = s.auth[shipping] // for introspection
	expect("API's client deleted", false, map[string]answer{audience: subject})
}

// An API that has a key of its own can forge tokens for itself. They cannot be exchanged for more than was granted.
func TestExchangeOfForgedTokens(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	first := s.exchange(orders, access(s.userToken("items:read")), itemsAPI)
	for name, forge := range map[string]func(*token.Claims){
		"scope":     func(c *token.Claims) { c.Scope = oauth.Scope{"items:read", "profile"} },
		"expiry":    func(c *token.Claims) { c.ExpiresAt = c.ExpiresAt.Add(time.Minute) },
		"user":      func(c *token.Claims) { c.Subject = "usr_00000000-0000-4000-8000-000000000001" },
		"client":    func(c *token.Claims) { c.ClientID = shipping },
		"no actor":  func(c *token.Claims) { c.Actors = nil },
		"an actor":  func(c *token.Claims) { c.Actors = []string{"somebody"} },
		"a grant":   func(c *token.Claims) { c.Status = &token.Status{Index: c.Status.Index - 1, URI: c.Status.URI} },
		"no status": func(c *token.Claims) { c.Status = nil },
	} {
		claims := *s.claims(name, itemsAPI, first)
		s.wait(time.Minute) // so that a later expiry is within the lifetime of tokens
		forge(&claims)
		raw, err := (&token.Signer{Keys: s.ring, Audience: audience, Now: s.clock}).Sign(&claims)
		s.must(err)
		s.hide(raw)
		s.exchange(shipping, raw, groupsAPI).expect(
			name, http.StatusBadRequest, oauth.CodeInvalidRequest, "not an access token")
	}
}

// Neither can an API exchange a token that it has made from an old one of the same login, whose user may be away. A
// token of a refresh can be exchanged.
func TestExchangeOfRenewedTokens(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	login := s.redeem("login", s.serve(withCookie(
		openIDRequest("scope", "items:read", "resource", itemsAPI), s.sessionCookie())))
	claims := *s.claims("login", itemsAPI, login)
	s.wait(20 * time.Minute)
	s.exchange(shipping, access(login), groupsAPI).expect("an old token", http.StatusOK, "", "")
	renewed := claims
	renewed.IssuedAt, renewed.ExpiresAt = s.clock(), s.clock().Add(lifetime)
	raw, err := (&token.Signer{Keys: s.ring, Audience: audience, Now: s.clock}).Sign(&renewed)
	s.must(err)
	s.hide(raw)
	s.exchange(shipping, raw, groupsAPI).expect(
		"a renewed token", http.StatusBadRequest, oauth.CodeInvalidRequest, "not an access token")

	refresh, _ := login.body["refresh_token"].(string)
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {openIDApp}, "refresh_token": {refresh}}.Encode()
	for range 2 { // the second time within the grace period
		refreshed := s.post(form)
		s.hide(refreshed.body["refresh_token"].(string))
		s.wait(5 * time.Second)
		s.exchange(shipping, access(refreshed), groupsAPI).expect("a token of a refresh", http.StatusOK, "", "")
	}
}

// Scopes and APIs that a client has lost are lost to exchanges.
func TestExchangeAfterAChange(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	raw := access(s.userToken("items:read"))
	_, err := s.data.UpdateClient(t.Context(), orders, s.clock(), func(c client.Client) (client.Client, error) {
		c.ExchangeTo = []string{groupsAPI}
		return c, nil
	})
	s.must(err)
	s.wait(issuing.CacheTime)
	s.exchange(orders, raw, itemsAPI).expect(
		"API removed", http.StatusBadRequest, oauth.CodeInvalidTarget, "may not exchange")
	s.must(s.data.DisableUser(t.Context(), john, s.clock()))
	s.exchange(orders, raw, groupsAPI).expect("user disabled", http.StatusBadRequest, oauth.CodeInvalidRequest, "")
}

// Somebody else's client exchanges a token.
func TestExchangeByOAuth2Client(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	cfg := clientcredentials.Config{
		ClientID: orders, ClientSecret: s.secrets[orders], TokenURL: s.url + "/token", Scopes: []string{"items:read"},
		AuthStyle: oauth2.AuthStyleInHeader,
		EndpointParams: url.Values{
			"grant_type": {string(oauth.GrantTokenExchange)}, "resource": {itemsAPI},
			"subject_token":      {access(s.userToken("items:read profile"))},
			"subject_token_type": {oauth.TokenTypeAccess},
		},
	}
	got, err := cfg.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.hide(got.AccessToken)
	if got.Extra("issued_token_type") != oauth.TokenTypeAccess || got.Extra("scope") != "items:read" ||
		got.RefreshToken != "" {
		t.Errorf("token %+v", got)
	}
}

// Two APIs may differ in a slash only. A right at one of them does not hold at the other, though each spelling means
// either where there is only one (RFC 7662 section 4; RFC 8693 section 2.2.2).
func TestRightsAtOtherSpelling(t *testing.T) {
	t.Parallel()
	s := newExchangeSite(t)
	const slash = itemsAPI + "/"
	s.addAPIClient("caller", []string{client.DefaultAPI}, []string{slash})
	s.addAPIClient("receiver", []string{slash}, []string{groupsAPI})
	_, err := s.data.UpdateClient(t.Context(), "receiver", s.clock(), func(c client.Client) (client.Client, error) {
		c.IntrospectsFor = []string{slash}
		return c, c.Validate()
	})
	s.must(err)
	subject := access(s.userToken("items:read"))
	token := access(s.exchange(orders, subject, itemsAPI))
	expect := func(what string, allowed bool) {
		t.Helper()
		for name, got := range map[string]answer{
			"exchange to": s.exchange("caller", subject, itemsAPI), "exchange from": s.exchange("receiver", token, groupsAPI),
		} {
			if (got.status == http.StatusOK) != allowed || !allowed && !strings.Contains(got.text, "may not exchange") {
				t.Errorf("%s: %s: %d %s", what, name, got.status, got.text)
			}
		}
		if _, said := s.ask("/introspect", token, s.auth["receiver"]); said["active"] != allowed {
			t.Errorf("%s: introspection: %v", what, said)
		}
		if _, said := s.ask("/introspect", token, s.auth[shipping]); said["active"] != true {
			t.Errorf("%s: introspection by the exact spelling: %v", what, said)
		}
	}
	expect("one API", true)
	s.must(s.data.CreateAPI(t.Context(), resource.API{
		Audience: slash, Name: "another", Scope: oauth.Scope{"items:read"}, CreatedAt: s.clock(),
	}))
	s.wait(time.Second)
	expect("two APIs", false)
}
