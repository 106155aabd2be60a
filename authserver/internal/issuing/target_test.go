package issuing_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// billing is an API beside the default one.
var billing = resource.API{Audience: "https://billing.example", Name: "Billing",
	Scope: oauth.Scope{"invoices:read", "profile"}, CreatedAt: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}

// RFC 6749 section 3.3 and RFC 8707: no more than both the client and the API have.
func TestScope(t *testing.T) {
	for _, tt := range []struct {
		client, api, asked, want, says string
	}{
		{client: "a b", asked: "", want: "a b"},
		{client: "a b", asked: "b", want: "b"},
		{client: "a b", asked: "b a", want: "b a"},
		{client: "a b", asked: "c", says: "c"},
		{client: "a b", asked: "a c", says: "c"},
		{client: "a b", asked: "A", says: "A"},
		{client: "a b c", api: "b c d", asked: "", want: "b c"},
		{client: "a b c", api: "c b", asked: "", want: "b c"},
		{client: "a b c", api: "b c d", asked: "c", want: "c"},
		{client: "a b c", api: "b c d", asked: "a", says: "the scope a of that API"},
		{client: "a b c", api: "b c d", asked: "b d", says: "the scope d of that API"},
		{client: "a b c", api: "x y", asked: "", says: "no scope of that API"},
		{client: "a b c", api: "x y", asked: "x", says: "x of that API"},
		{client: "a b c", api: "x y", asked: "a", says: "a of that API"},
	} {
		c := client.Client{Scope: strings.Fields(tt.client)}
		api := resource.API{AnyScope: true}
		if tt.api != "" {
			api = resource.API{Audience: "https://api.example", Scope: strings.Fields(tt.api)}
		}
		got, err := new(issuing.Service).UserScope(c, api, oauth.Scope(strings.Fields(tt.asked)))
		if tt.says != "" {
			if !errors.Is(err, oauth.ErrInvalidScope) || !strings.HasSuffix(err.Error(), tt.says) || got != nil {
				t.Errorf("%+v: %v, %v", tt, got, err)
			}
			continue
		}
		if err != nil || got.String() != tt.want {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
		if c.Scope.String() != tt.client {
			t.Errorf("the client's own scope became %v", c.Scope)
		}
	}
}

// RFC 8707 section 2 has a client name an API by its URI. RFC 3986 section 6.2.3 says which
// spellings are the same URI; the API keeps its audience.
func TestTarget(t *testing.T) {
	b := newBench(t)
	withBilling(t, b)
	e := issuing.New(b.cfg)
	for named, want := range map[string]resource.API{
		"": defaultAPI, audience: defaultAPI, billing.Audience: billing,
		audience + "/": defaultAPI, billing.Audience + "/": billing, billing.Audience + ":443": billing,
	} {
		got, err := e.Target(t.Context(), named)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", named, err, diff)
		}
	}
	for _, named := range []string{"x", audience + "//", billing.Audience + "/v1", "HTTPS://billing.example",
		"https://BILLING.example", " " + billing.Audience, "%"} {
		got, err := e.Target(t.Context(), named)
		var refusal *oauth.Error
		if !errors.As(err, &refusal) || refusal.Code != oauth.CodeInvalidTarget || !cmp.Equal(got, resource.API{}) {
			t.Errorf("%q: %+v, %v", named, got, err)
		}
	}
	must(t, b.data.Close())
	b.wait()
	if _, err := e.Target(t.Context(), billing.Audience); err == nil || errors.As(err, new(*oauth.Error)) {
		t.Errorf("without a database: %v", err)
	}
}

// addBilling registers billing with a secret of its own. It returns the keys of the server and
// those of billing.
func addBilling(t *testing.T, b *bench) (ring, own *keyring.Ring) {
	t.Helper()
	must(t, b.data.CreateAPI(t.Context(), billing))
	set, err := keyring.Generate(keyring.HS256, b.now, rand.Reader)
	must(t, err)
	set, single, err := keyring.Add(set, keyring.HS256, billing.Audience, b.now, rand.Reader)
	must(t, err)
	ring, err = keyring.Parse(set)
	must(t, err)
	own, err = keyring.Parse(single)
	must(t, err)
	b.cfg.Signer = &token.Signer{Keys: ring, Audience: audience, Now: b.cfg.Now}
	return ring, own
}

// withBilling adds billing and lets the client refresh. It returns the verifier of billing, which
// knows only its own secret.
func withBilling(t *testing.T, b *bench) *token.Verifier {
	t.Helper()
	ring, own := addBilling(t, b)
	var err error
	b.app.Grants = append(b.app.Grants, oauth.GrantRefreshToken)
	b.cfg.Verifier, err = token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience,
		Now: b.cfg.Now})
	must(t, err)
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: own, Issuer: issuer, Audience: billing.Audience,
		Now: b.cfg.Now})
	must(t, err)
	return verifier
}

func refreshing(refresh string, changes ...string) []string {
	return append([]string{"grant_type", "refresh_token", "refresh_token", refresh, "username", "", "password", ""},
		changes...)
}

// refusedAs checks that the response is this error of the protocol.
func refusedAs(t *testing.T, what string, answer oauth.TokenResponse, err error, want oauth.ErrorCode) {
	t.Helper()
	var refusal *oauth.Error
	if !errors.As(err, &refusal) || refusal.Code != want || answer != noTokens {
		t.Errorf("%s: %v, %v, want %s", what, answer, err, want)
	}
}

// RFC 9068 section 5: a token is for the API that was named, with its scope and signed by its
// key, and so are all tokens of the grant.
func TestIssueForOneOfSeveralAPIs(t *testing.T) {
	b := newBench(t)
	verifier := withBilling(t, b)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request("resource", billing.Audience), b.app)
	must(t, err)
	for range 2 { // the first token, and a refreshed one
		claims, err := verifier.Verify(t.Context(), answer.AccessToken)
		must(t, err)
		if claims.Scope.String() != "profile" || !cmp.Equal(claims.Audience, []string{billing.Audience}) {
			t.Errorf("scope %v for %v", claims.Scope, claims.Audience)
		}
		if _, err := b.cfg.Verifier.Verify(t.Context(), answer.AccessToken); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("the other API says %v", err)
		}
		answer, err = b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
		must(t, err)
	}
	refresh := answer.RefreshToken
	for _, named := range []string{audience, billing.Audience + "/v1", "https://third.example"} {
		other, err := b.issue(e, request(refreshing(refresh, "resource", named)...), b.app)
		refusedAs(t, "refreshing for "+named, other, err, oauth.CodeInvalidTarget)
	}
	if _, err := b.issue(e, request(refreshing(refresh, "resource", billing.Audience+"/")...), b.app); err != nil {
		t.Errorf("refreshing for the same: %v", err)
	}

	answer, err = b.issue(e, request("resource", audience), b.app) // the default one, by name
	must(t, err)
	b.claims(answer)
	other, err := b.issue(e, request(refreshing(answer.RefreshToken, "resource", billing.Audience)...), b.app)
	refusedAs(t, "refreshing for another API", other, err, oauth.CodeInvalidTarget)
	if _, err := b.issue(e, request(refreshing(answer.RefreshToken, "resource", audience)...), b.app); err != nil {
		t.Errorf("refreshing for the default API, by name: %v", err)
	}
}

func TestIssueForAnUnknownAPI(t *testing.T) {
	b := newBench(t)
	answer, err := b.issue(issuing.New(b.cfg), request("resource", billing.Audience), b.app)
	refusedAs(t, "an API that is not registered", answer, err, oauth.CodeInvalidTarget)
	b.expectGrants(0)
}

// After an API is deleted, no grant for it gives tokens, even if it is registered again.
func TestRefreshForADeletedAPI(t *testing.T) {
	b := newBench(t)
	withBilling(t, b)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request("resource", billing.Audience), b.app)
	must(t, err)
	must(t, b.data.DeleteAPI(t.Context(), billing.Audience, b.cfg.Now()))
	for _, named := range []string{"", billing.Audience} {
		other, err := b.issue(e, request(refreshing(answer.RefreshToken, "resource", named)...), b.app)
		refusedAs(t, "refreshing for "+named, other, err, oauth.CodeInvalidGrant)
	}
	must(t, b.data.CreateAPI(t.Context(), billing))
	other, err := b.issue(e, request(refreshing(answer.RefreshToken)...), b.app)
	refusedAs(t, "refreshing after it was registered again", other, err, oauth.CodeInvalidGrant)
	if _, err := b.issue(e, request("resource", billing.Audience), b.app); err != nil {
		t.Errorf("a new login after it was registered again: %v", err)
	}
}

// Deleting an API ends the tokens of services for it, though their grants go on.
func TestInspectServiceTokenForADeletedAPI(t *testing.T) {
	b := newBench(t)
	forger(t, b)
	service := client.Client{ID: "service", Name: "Service", SecretDigest: "digest",
		Grants: []oauth.GrantType{oauth.GrantClientCredentials}, Scope: b.app.Scope, CreatedAt: b.now}
	must(t, b.data.CreateClient(t.Context(), service))
	e := issuing.New(b.cfg)
	tokens := map[string]string{}
	for _, api := range []string{billing.Audience, audience} {
		answer, err := b.issue(e, request("grant_type", "client_credentials", "resource", api), service)
		must(t, err)
		tokens[api] = answer.AccessToken
		expectActive(t, "a token for "+api, e, tokens[api], nil)
	}
	must(t, b.data.DeleteAPI(t.Context(), billing.Audience, b.now))
	late, err := b.issue(e, request("grant_type", "client_credentials", "resource", billing.Audience), service)
	must(t, err) // the API is still in memory
	b.wait()
	expectActive(t, "a token that was issued after the deletion", e, late.AccessToken, issuing.ErrNotActive)
	expectActive(t, "a token for the deleted API", e, tokens[billing.Audience], issuing.ErrNotActive)
	expectActive(t, "a token for the other API", e, tokens[audience], nil)
	must(t, b.data.CreateAPI(t.Context(), billing))
	b.wait()
	for _, old := range []string{tokens[billing.Audience], late.AccessToken} {
		expectActive(t, "an earlier token, when the API is registered again", e, old, issuing.ErrNotActive)
	}
	answer, err := b.issue(e, request("grant_type", "client_credentials", "resource", billing.Audience), service)
	must(t, err)
	expectActive(t, "a new token", e, answer.AccessToken, nil)
}

// An API without a key gets no tokens, and a code for it is not used up.
func TestGrantForAnAPIWhoseKeyHasGone(t *testing.T) {
	b := newBench(t)
	withBilling(t, b)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request("resource", billing.Audience), b.app)
	must(t, err)
	withKey := b.cfg.Signer
	ring, err := keyring.FromSecret(strings.Repeat("k", keyring.MinSecret))
	must(t, err)
	b.cfg.Signer = &token.Signer{Keys: ring, Audience: audience}
	refused, err := b.issue(issuing.New(b.cfg), request(refreshing(answer.RefreshToken)...), b.app)
	refusedAs(t, "refreshing", refused, err, oauth.CodeInvalidTarget)
	b.session()
	b.api, b.app.Scope = billing, oauth.Scope{"profile"}
	code := b.redemption(e)
	refused, err = b.issue(issuing.New(b.cfg), code, b.app)
	refusedAs(t, "redeeming a code", refused, err, oauth.CodeInvalidTarget)
	b.expectGrants(1)

	b.cfg.Signer = withKey
	_, err = b.issue(issuing.New(b.cfg), code, b.app)
	must(t, err)
	b.app.Grants = []oauth.GrantType{oauth.GrantRefreshToken}
	_, err = b.issue(issuing.New(b.cfg), request(refreshing(answer.RefreshToken)...), b.app)
	must(t, err)
}

// A shared secret is never used for another API: without a key of its own it gets no tokens.
func TestIssueForAnAPIWithoutAKey(t *testing.T) {
	b := newBench(t)
	must(t, b.data.CreateAPI(t.Context(), billing))
	answer, err := b.issue(issuing.New(b.cfg), request("resource", billing.Audience), b.app)
	refusedAs(t, "an API without a key", answer, err, oauth.CodeInvalidTarget)
	b.expectGrants(0)
}
