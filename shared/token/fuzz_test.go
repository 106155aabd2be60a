package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Only the signed token is accepted, byte for byte.
func FuzzVerify(f *testing.F) {
	good := sign(f, goodRing(f), goodClaims())
	v := verifier(f, func(cfg *token.VerifierConfig) { cfg.CacheSize = 4 })
	bad := badTokens(f)
	if len(bad) < 50 {
		f.Fatal("the seeds are missing")
	}
	f.Add(good)
	for _, b := range bad {
		f.Add(b.raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		accepts(t, v, good)
		claims, err := v.Verify(t.Context(), raw)
		if (err == nil) != (raw == good) {
			t.Fatalf("Verify(%q) = %v, %v", raw, claims, err)
		}
		if err != nil && (claims != nil || !errors.Is(err, token.ErrInvalid)) {
			t.Fatalf("Verify(%q) = %v, %v: not a refusal", raw, claims, err)
		}
	})
}

// An accepted token follows RFC 9068, whatever was signed.
func FuzzVerifySigned(f *testing.F) {
	header, payload := `{"alg":"HS256","typ":"at+jwt","kid":"k1"}`, goodPayload()
	v := verifier(f, func(cfg *token.VerifierConfig) { cfg.CacheSize = -1 })
	for _, p := range []members{
		payload,
		payload.without("exp"),
		payload.with("aud", []string{"x", audience}),
		payload.with("nbf", 1.5e9),
		payload.with("exp", 1e300),
	} {
		data, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(header, string(data))
	}
	f.Add(`{"alg":"HS512","typ":"at+jwt","kid":"k1"}`, `{}`)
	f.Add(`{"alg":"HS256","typ":"at+jwt","kid":"k1","crit":null}`, `null`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		encode := base64.RawURLEncoding.EncodeToString
		input := encode([]byte(header)) + "." + encode([]byte(payload))
		claims, err := v.Verify(t.Context(), input+"."+signature(input, sha256.New, secret))
		if err == nil {
			headerIsOurs(t, header)
			claimsHold(t, claims)
		}
	})
}

func headerIsOurs(t *testing.T, text string) {
	t.Helper()
	var header map[string]any
	if err := json.Unmarshal([]byte(text), &header); err != nil {
		t.Fatal(err)
	}
	_, critical := header["crit"]
	if header["alg"] != "HS256" || header["kid"] != "k1" || critical {
		t.Errorf("the header %s was accepted", text)
	}
}

func claimsHold(t *testing.T, c *token.Claims) {
	t.Helper()
	if c.Issuer != issuer || !slices.Contains(c.Audience, audience) || c.Subject == "" || c.ClientID == "" ||
		c.ID == "" || c.IssuedAt.IsZero() {
		t.Errorf("the claims %+v were accepted", c)
	}
	if !start.Before(c.ExpiresAt.Add(5*time.Second)) || start.Before(c.NotBefore.Add(-5*time.Second)) {
		t.Errorf("accepted outside its time, %v to %v", c.NotBefore, c.ExpiresAt)
	}
	if again, err := oauth.ParseScope(c.Scope.String()); err != nil || !slices.Equal(again, c.Scope) {
		t.Errorf("the scope %q was accepted", c.Scope)
	}
}
