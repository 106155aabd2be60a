// Package bearertest signs access tokens for tests of an API that package bearer protects. No
// authorization server is needed:
//
//	issuer := bearertest.New(t)
//	handler := issuer.Guard().Require("reports:read")(reports)
//	request.Header.Set("Authorization", "Bearer "+issuer.Token("reports:read"))
package bearertest

import (
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Claims of the tokens of an Issuer, unless a test changes them.
const (
	IssuerURL = "https://issuer.example"
	Audience  = "https://api.example"
	Username  = "john.doe"
	Name      = "John Doe"
)

// Issuer stands in for an authorization server. Each Issuer has its own key, so a Guard of one refuses the
// tokens of another.
type Issuer struct {
	t    testing.TB
	ring *keyring.Ring
}

// New returns an Issuer with a random key.
func New(t testing.TB) *Issuer {
	t.Helper()
	secret := make([]byte, keyring.MinSecret)
	if _, err := rand.Read(secret); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.FromSecret(base64.RawURLEncoding.EncodeToString(secret))
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{t: t, ring: ring}
}

// Ring returns the issuer's keys.
func (i *Issuer) Ring() *keyring.Ring { return i.ring }

// Guard returns a guard that accepts this issuer's tokens for Audience. It runs until the test ends. The
// tokens refer to no status list, so a test that calls bearer.Open itself must set AllowMissingStatus.
func (i *Issuer) Guard() *bearer.Guard {
	i.t.Helper()
	guard, err := bearer.Open(i.t.Context(), bearer.Config{
		Issuer:             IssuerURL,
		Audience:           Audience,
		Keys:               i.ring,
		AllowMissingStatus: true,
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return guard
}

// Claims returns the claims of a valid token of the user john.doe. A test may change them before it calls
// Sign. They expire after 30 minutes.
func (i *Issuer) Claims(scopes ...string) *token.Claims {
	now := time.Now()
	return &token.Claims{
		Issuer:    IssuerURL,
		Subject:   "usr_00000000-0000-4000-8000-000000000001",
		Audience:  []string{Audience},
		ClientID:  "bearertest",
		ID:        uuid.NewString(),
		IssuedAt:  now,
		ExpiresAt: now.Add(30 * time.Minute),
		Scope:     oauth.Scope(scopes),
		Username:  Username,
		Name:      Name,
	}
}

// Sign returns a token with the claims. It fails the test if token.Signer.Sign returns an error.
func (i *Issuer) Sign(c *token.Claims) string {
	i.t.Helper()
	signed, err := (&token.Signer{Keys: i.ring}).Sign(c)
	if err != nil {
		i.t.Fatal(err)
	}
	return signed
}

// Token returns a valid token of the user john.doe with the scopes.
func (i *Issuer) Token(scopes ...string) string {
	i.t.Helper()
	return i.Sign(i.Claims(scopes...))
}
