// Package bearertest mints access tokens in the tests of an API that package
// bearer protects.
//
// It exists so that such a test needs no authorization server and no knowledge of
// JWTs:
//
//	issuer := bearertest.New(t)
//	handler := bearer.Require(issuer.Verifier(), "reports:read")(reports)
//	request.Header.Set("Authorization", "Bearer "+issuer.Token("reports:read"))
package bearertest

import (
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// What the tokens of an Issuer say unless a test changes it.
const (
	IssuerURL = "https://issuer.example"
	Audience  = "https://api.example"
	Username  = "john.doe"
	Name      = "John Doe"
)

// Issuer is an authorization server reduced to its key. Every Issuer has a key of
// its own, so that a token of one is a forgery to another.
type Issuer struct {
	t    testing.TB
	ring *keyring.Ring
}

// New returns an Issuer with a fresh random key.
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

// Verifier returns a verifier that accepts this issuer's tokens for Audience.
func (i *Issuer) Verifier() *token.Verifier {
	i.t.Helper()
	v, err := token.NewVerifier(token.VerifierConfig{Keys: i.ring, Issuer: IssuerURL, Audience: Audience})
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// Claims returns what a good token of the user john.doe says, for a test to change
// before it calls Sign. It lives for half an hour.
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

// Sign returns the token that says c. It ends the test if c is incomplete.
func (i *Issuer) Sign(c *token.Claims) string {
	i.t.Helper()
	signed, err := (&token.Signer{Keys: i.ring}).Sign(c)
	if err != nil {
		i.t.Fatal(err)
	}
	return signed
}

// Token returns a good token of the user john.doe with the scopes.
func (i *Issuer) Token(scopes ...string) string {
	i.t.Helper()
	return i.Sign(i.Claims(scopes...))
}
