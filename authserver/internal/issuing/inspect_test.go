package issuing_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// forger registers billing with a secret of its own, has the service accept tokens for any API, as
// the program does, and returns the signer that billing can make of its secret.
func forger(t *testing.T, b *bench) *token.Signer {
	t.Helper()
	ring, own := addBilling(t, b)
	var err error
	b.cfg.Verifier, err = token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience,
		InsecureAnyAudience: true, CacheSize: -1, Now: b.cfg.Now})
	must(t, err)
	return &token.Signer{Keys: own, Audience: audience, Now: b.cfg.Now}
}

// An API that has a secret of its own can sign a status claim with the number of any grant. It
// learns nothing by that and ends nothing.
func TestForgedPointers(t *testing.T) {
	b := newBench(t)
	signer := forger(t, b)
	e := issuing.New(b.cfg)
	for _, api := range []string{billing.Audience, audience} { // grants 1 and 2
		_, err := b.issue(e, request("resource", api), b.app)
		must(t, err)
	}
	for name, tt := range map[string]struct {
		grant  int64
		change func(*token.Claims)
		want   error
	}{
		"what the grant says":          {1, func(*token.Claims) {}, nil},
		"another client":               {1, func(c *token.Claims) { c.ClientID = "other" }, issuing.ErrNotActive},
		"another user":                 {1, func(c *token.Claims) { c.Subject = "usr_other" }, issuing.ErrNotActive},
		"the client in a user's place": {1, func(c *token.Claims) { c.Subject = c.ClientID }, issuing.ErrNotActive},
		"another API's grant":          {2, func(*token.Claims) {}, issuing.ErrNotActive},
		"a scope that was not granted": {1, func(c *token.Claims) { c.Scope = oauth.Scope{"profile", "invoices:read"} }, issuing.ErrNotActive},
		"a lifetime that no token has": {1, func(c *token.Claims) { c.ExpiresAt = b.now.Add(grant.MaxTokenLifetime + time.Minute) }, issuing.ErrNotActive},
		"the longest lifetime":         {1, func(c *token.Claims) { c.ExpiresAt = b.now.Add(grant.MaxTokenLifetime) }, nil},
		"a grant that is not there":    {3, func(*token.Claims) {}, issuing.ErrNotActive},
	} {
		g, err := b.data.GrantByNumber(t.Context(), min(tt.grant, 2))
		must(t, err)
		g.Number = tt.grant
		claims := &token.Claims{
			Issuer: issuer, Subject: b.user.ID, Audience: []string{billing.Audience}, ClientID: "app", ID: "forged",
			IssuedAt: b.now, ExpiresAt: b.now.Add(time.Minute), Scope: oauth.Scope{"profile"},
			Status: grant.Lists{Issuer: issuer, Default: audience}.Status(g),
		}
		tt.change(claims)
		raw, err := signer.Sign(claims)
		must(t, err)
		if _, err := b.cfg.Verifier.Verify(t.Context(), raw); err != nil {
			t.Fatalf("%s: the forgery is not signed well: %v", name, err)
		}
		expectActive(t, name, e, raw, tt.want)
		if _, err := e.InspectClaims(t.Context(), claims); !errors.Is(err, tt.want) {
			t.Errorf("%s, verified before: %v, want %v", name, err, tt.want)
		}
		if tt.want == nil {
			continue
		}
		if err := e.Revoke(t.Context(), b.app, raw); err != nil {
			t.Errorf("revoking %s: %v", name, err)
		}
		b.expectGrants(2)
	}
}

// The same for the token of a service, whose grant has no scope: the client and the API bound it.
func TestForgedServiceToken(t *testing.T) {
	b := newBench(t)
	signer := forger(t, b)
	e := issuing.New(b.cfg)
	_, err := b.data.UpdateClient(t.Context(), "app", b.now, func(c client.Client) (client.Client, error) {
		c.Grants, c.Scope = []oauth.GrantType{oauth.GrantClientCredentials}, oauth.Scope{"profile", "items:read"}
		return c, nil
	})
	must(t, err)
	number, err := b.data.ServiceGrant(t.Context(), "app", "", b.now)
	must(t, err)
	lists := grant.Lists{Issuer: issuer, Default: audience}
	status := lists.Status(grant.Grant{Number: number, Audience: billing.Audience})
	for name, tt := range map[string]struct {
		scope    oauth.Scope
		lifetime time.Duration
		want     error
	}{
		"what it may have":                {oauth.Scope{"profile"}, lifetime, nil},
		"a scope of the client elsewhere": {oauth.Scope{"items:read"}, lifetime, issuing.ErrNotActive},
		"a scope of the API only":         {oauth.Scope{"invoices:read"}, lifetime, issuing.ErrNotActive},
		"a lifetime that no token has":    {oauth.Scope{"profile"}, grant.MaxTokenLifetime + time.Minute, issuing.ErrNotActive},
	} {
		raw, err := signer.Sign(&token.Claims{
			Issuer: issuer, Subject: "app", Audience: []string{billing.Audience}, ClientID: "app", ID: "forged",
			IssuedAt: b.now, ExpiresAt: b.now.Add(tt.lifetime), Scope: tt.scope, Status: status,
		})
		must(t, err)
		expectActive(t, name, e, raw, tt.want)
	}
}

// A token that is for more than the API of its grant does not belong to the grant.
func TestClaimsOfAnotherAudience(t *testing.T) {
	b := newBench(t)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request(), b.app)
	must(t, err)
	claims := b.claims(answer)
	for _, tt := range []struct {
		audience []string
		want     error
	}{
		{[]string{audience}, nil},
		{[]string{billing.Audience}, issuing.ErrNotActive},
		{[]string{audience, billing.Audience}, issuing.ErrNotActive},
		{nil, issuing.ErrNotActive},
	} {
		forged := *claims
		forged.Audience = tt.audience
		if _, err := e.InspectClaims(t.Context(), &forged); !errors.Is(err, tt.want) {
			t.Errorf("%v: %v, want %v", tt.audience, err, tt.want)
		}
	}
}

// A token is active until it expires (RFC 7662 section 2.2), and not for the leeway of the verifier.
func TestExpiredTokenIsNotActive(t *testing.T) {
	b := newRefreshBench(t) // whose grants outlive their access tokens
	var err error
	b.cfg.Verifier, err = token.NewVerifier(token.VerifierConfig{
		Keys: b.cfg.Signer.Keys, Issuer: issuer, Audience: audience, Now: b.cfg.Now,
	})
	must(t, err)
	e := issuing.New(b.cfg)
	answer, err := b.issue(e, request(), b.app)
	must(t, err)
	b.now = b.now.Add(b.cfg.Lifetime - time.Second)
	expectActive(t, "a second before", e, answer.AccessToken, nil)
	b.now = b.now.Add(time.Second)
	expectActive(t, "at the expiry", e, answer.AccessToken, issuing.ErrNotActive)
	if _, err := b.cfg.Verifier.Verify(t.Context(), answer.AccessToken); err != nil {
		t.Errorf("the verifier has no leeway: %v", err)
	}
}

// A token from before the lifetime was lowered is what it was: APIs accept it, so it is active, and it can be revoked.
func TestTokenOfALongerLifetime(t *testing.T) {
	b := newRefreshBench(t)
	lowered := b.cfg.Lifetime
	b.cfg.Lifetime = grant.MaxTokenLifetime
	answer, err := b.issue(issuing.New(b.cfg), request(), b.app)
	must(t, err)
	b.cfg.Lifetime = lowered
	e := issuing.New(b.cfg)
	expectActive(t, "the older token", e, answer.AccessToken, nil)
	if _, err := e.InspectClaims(t.Context(), b.claims(answer)); err != nil {
		t.Errorf("the older token, verified before: %v", err)
	}
	must(t, e.Revoke(t.Context(), b.app, answer.AccessToken))
	b.expectGrants(0)
	expectActive(t, "the revoked token", e, answer.AccessToken, issuing.ErrNotActive)
}
