package bearertest_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

func TestTokenIsValid(t *testing.T) {
	issuer := bearertest.New(t)
	got, err := verifier(t, issuer).Verify(t.Context(), issuer.Token("items:read", "items:write"))
	if err != nil {
		t.Fatal(err)
	}
	want := &token.Claims{
		Issuer:    bearertest.IssuerURL,
		Subject:   "usr_00000000-0000-4000-8000-000000000001",
		Audience:  []string{bearertest.Audience},
		ClientID:  "bearertest",
		IssuedAt:  time.Now(),
		ExpiresAt: time.Now().Add(30 * time.Minute),
		Scope:     oauth.Scope{"items:read", "items:write"},
		Username:  "john.doe",
		Name:      "John Doe",
	}
	options := cmp.Options{cmpopts.IgnoreFields(token.Claims{}, "ID"), cmpopts.EquateApproxTime(time.Minute)}
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.ID == issuer.Claims().ID {
		t.Error("two tokens have one id")
	}
}

func TestSignUsesChangedClaims(t *testing.T) {
	issuer := bearertest.New(t)
	c := issuer.Claims()
	c.Subject, c.Scope = "somebody else", oauth.Scope{"admin"}
	got, err := verifier(t, issuer).Verify(t.Context(), issuer.Sign(c))
	if err != nil || got.Subject != c.Subject || !got.Scope.Has("admin") {
		t.Errorf("the token says %+v (%v)", got, err)
	}
	c.ExpiresAt = time.Now().Add(-time.Minute)
	if _, err := verifier(t, issuer).Verify(t.Context(), issuer.Sign(c)); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("an expired token gives %v", err)
	}
}

func TestTokenOfAnotherIssuerIsAForgery(t *testing.T) {
	v, forged := verifier(t, bearertest.New(t)), bearertest.New(t).Token()
	if _, err := v.Verify(t.Context(), forged); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

// verifier returns a verifier that accepts the issuer's tokens.
func verifier(t *testing.T, issuer *bearertest.Issuer) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(token.VerifierConfig{
		Keys:     issuer.Ring(),
		Issuer:   bearertest.IssuerURL,
		Audience: bearertest.Audience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// failing records that a test was ended.
type failing struct {
	testing.TB
	fatal bool
}

func (f *failing) Helper() {}

func (f *failing) Fatal(...any) {
	f.fatal = true
	runtime.Goexit()
}

func TestSignEndsTheTestOnIncompleteClaims(t *testing.T) {
	f := &failing{TB: t}
	issuer := bearertest.New(f)
	done := make(chan string)
	go func() {
		defer close(done)
		done <- issuer.Sign(&token.Claims{})
	}()
	if raw := <-done; raw != "" || !f.fatal {
		t.Errorf("signed %q", raw)
	}
}
