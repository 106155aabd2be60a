package token_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// billing is another API than the one that has the key k1. Its secret is secret+"B".
const (
	billing       = "https://billing.example"
	billingSecret = secret + "B"
)

// bothRing returns the keys of the authorization server, billingRing those of the API billing.
func bothRing(t *testing.T) *keyring.Ring {
	return ringOf(t, jwk("k1", secret), jwk("b1", billingSecret, `"aud":"`+billing+`"`))
}

func billingRing(t *testing.T) *keyring.Ring {
	return ringOf(t, jwk("b1", billingSecret, `"aud":"`+billing+`"`))
}

// signFor signs a token for an audience, as an authorization server with the keys does.
func signFor(t *testing.T, ring *keyring.Ring, audiences ...string) (string, error) {
	t.Helper()
	c := goodClaims()
	c.Audience = audiences
	return (&token.Signer{Keys: ring, Audience: audience, Now: newClock().Now}).Sign(c)
}

// forAny returns the verifier of an authorization server, which accepts every audience.
func forAny(t *testing.T, ring *keyring.Ring) *token.Verifier {
	return verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys, cfg.InsecureAnyAudience = ring, true })
}

// Tokens for each API are signed with its own key, and only that API accepts them (RFC 9068 section 5).
func TestSignForSeveralAPIs(t *testing.T) {
	ring := bothRing(t)
	main := verifier(t, nil)
	other := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys, cfg.Audience = billingRing(t), billing })
	for _, tt := range []struct {
		audience, kid string
		good, bad     *token.Verifier
	}{{audience, "k1", main, other}, {billing, "b1", other, main}} {
		raw, err := signFor(t, ring, tt.audience)
		if err != nil {
			t.Fatal(err)
		}
		if header := decoded(t, raw, 0); !strings.Contains(header, `"kid":"`+tt.kid+`"`) {
			t.Errorf("for %s: header %s, want the key %s", tt.audience, header, tt.kid)
		}
		accepts(t, tt.good, raw)
		accepts(t, forAny(t, ring), raw)
		refused(t, tt.bad, raw, token.ErrInvalid)
	}
}

// A shared secret does not sign for an API that does not have it.
func TestSignForAnAPIWithoutAKey(t *testing.T) {
	asymmetric, _ := halves(t, keyring.EdDSA)
	for name, ring := range map[string]*keyring.Ring{
		"one shared secret":         goodRing(t),
		"that of another API":       ringOf(t, jwk("k1", secret), jwk("b1", billingSecret, `"aud":"https://third.example"`)),
		"its own, which is over":    ringOf(t, jwk("k1", secret), jwk("b1", billingSecret, `"aud":"`+billing+`"`, `"exp":1700000000`)),
		"its own, which is not yet": ringOf(t, jwk("k1", secret), jwk("b1", billingSecret, `"aud":"`+billing+`"`, `"nbf":1900000000`)),
	} {
		if raw, err := signFor(t, ring, billing); !errors.Is(err, keyring.ErrNoSigner) || raw != "" {
			t.Errorf("%s: signed %q, %v", name, raw, err)
		}
	}
	for _, audiences := range [][]string{{billing, audience}, {audience, billing}, {""}} {
		if raw, err := signFor(t, bothRing(t), audiences...); !errors.Is(err, keyring.ErrNoSigner) || raw != "" {
			t.Errorf("for %q: signed %q, %v", audiences, raw, err)
		}
	}
	raw, err := signFor(t, asymmetric, billing)
	if err != nil {
		t.Fatal(err)
	}
	accepts(t, forAny(t, asymmetric), raw)
	if raw, err := signFor(t, billingRing(t), audience); !errors.Is(err, keyring.ErrNoSigner) || raw != "" {
		t.Errorf("for Signer.Audience with the key of another API: signed %q, %v", raw, err)
	}
}

// An API has its own secret, with which it can sign tokens only for itself: a verifier with all keys
// refuses others.
func TestForgeriesForAnotherAPI(t *testing.T) {
	ours := goodHeader()
	theirs := goodHeader().with("kid", "b1")
	for name, raw := range map[string]string{
		"by billing for the other":       mint(t, theirs, goodPayload(), sha256.New, billingSecret),
		"by billing for both":            mint(t, theirs, goodPayload().with("aud", []string{billing, audience}), sha256.New, billingSecret),
		"by billing for both, other way": mint(t, theirs, goodPayload().with("aud", []string{audience, billing}), sha256.New, billingSecret),
		"by billing for a third":         mint(t, theirs, goodPayload().with("aud", "https://third.example"), sha256.New, billingSecret),
		"by billing for nobody":          mint(t, theirs, goodPayload().without("aud"), sha256.New, billingSecret),
		"by the other for billing":       mint(t, ours, goodPayload().with("aud", billing), sha256.New, secret),
		"by the other for both":          mint(t, ours, goodPayload().with("aud", []string{audience, billing}), sha256.New, secret),
		"by the other for nobody":        mint(t, ours, goodPayload().with("aud", []string{}), sha256.New, secret),
		"by billing with the other kid":  mint(t, ours, goodPayload(), sha256.New, billingSecret),
	} {
		t.Run(name, func(t *testing.T) { refused(t, forAny(t, bothRing(t)), raw, token.ErrInvalid) })
	}
	accepts(t, forAny(t, bothRing(t)), mint(t, theirs, goodPayload().with("aud", billing), sha256.New, billingSecret))
	accepts(t, forAny(t, bothRing(t)), mint(t, ours, goodPayload(), sha256.New, secret))
}

// An API that has keys of other APIs refuses tokens for another audience.
func TestAPIWithKeyOfAnotherAPI(t *testing.T) {
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys = bothRing(t) })
	theirs := goodHeader().with("kid", "b1")
	for _, aud := range []any{audience, billing, []string{billing, audience}} {
		refused(t, v, mint(t, theirs, goodPayload().with("aud", aud), sha256.New, billingSecret), token.ErrInvalid)
	}
}
