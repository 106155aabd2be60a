package token_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	secret   = "the secret of the tokens, 32 bytes and more"
	issuer   = "https://issuer.example"
	audience = "https://api.example"
)

// start is the initial time of the tests.
var start = time.Unix(1_800_000_000, 0)

// clock is a time that a test can change.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.set(start)
	return c
}

func (c *clock) set(t time.Time) { c.now.Store(t.UnixNano()) }
func (c *clock) Now() time.Time  { return time.Unix(0, c.now.Load()) }

// keys is a keyring.Source whose ring a test can replace.
type keys struct{ ring atomic.Pointer[keyring.Ring] }

func (k *keys) Current() *keyring.Ring { return k.ring.Load() }

// jwk returns a key of a JWK Set with additional members, such as `"nbf":1`.
func jwk(kid, secret string, members ...string) string {
	all := append([]string{
		`"kty":"oct"`, `"kid":"` + kid + `"`, `"k":"` + base64.RawURLEncoding.EncodeToString([]byte(secret)) + `"`,
	}, members...)
	return "{" + strings.Join(all, ",") + "}"
}

func ringOf(t testing.TB, jwks ...string) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// goodRing returns a ring with the key k1.
func goodRing(t testing.TB) *keyring.Ring { return ringOf(t, jwk("k1", secret)) }

// verifier returns a verifier that accepts the tokens of goodRing at start; change may change its configuration.
func verifier(t testing.TB, change func(*token.VerifierConfig)) *token.Verifier {
	t.Helper()
	cfg := token.VerifierConfig{Keys: goodRing(t), Issuer: issuer, Audience: audience, Now: newClock().Now}
	if change != nil {
		change(&cfg)
	}
	v, err := token.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goodClaims returns the claims of a token that is valid at start.
func goodClaims() *token.Claims {
	return &token.Claims{
		Issuer:    issuer,
		Subject:   "usr_1",
		Audience:  []string{audience},
		ClientID:  "client-1",
		ID:        "jti-1",
		IssuedAt:  start,
		ExpiresAt: start.Add(30 * time.Minute),
		Scope:     oauth.Scope{"items:read", "items:write"},
		Username:  "john.doe",
		Name:      "John Doe",
		Status:    &token.Status{Index: 42, URI: "https://issuer.example/status/1"},
	}
}

func sign(t testing.TB, source keyring.Source, c *token.Claims) string {
	t.Helper()
	raw, err := (&token.Signer{Keys: source, Now: func() time.Time { return start }}).Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// members is a JSON object: a header or a payload.
type members map[string]any

func (m members) with(name string, value any) members {
	m = maps.Clone(m)
	m[name] = value
	return m
}

func (m members) without(name string) members {
	m = maps.Clone(m)
	delete(m, name)
	return m
}

// goodHeader and goodPayload are a valid token when mint signs them with secret.
func goodHeader() members { return members{"alg": "HS256", "typ": "at+jwt", "kid": "k1"} }

func goodPayload() members {
	return members{
		"iss": issuer, "sub": "usr_1", "aud": audience, "client_id": "client-1", "jti": "jti-1",
		"iat": start.Unix(), "exp": start.Add(30 * time.Minute).Unix(), "scope": "items:read",
	}
}

// mint signs a token without the package under test. The signature is an HMAC with the hash and the
// secret, whatever the header says.
func mint(t testing.TB, header, payload members, newHash func() hash.Hash, secret string) string {
	t.Helper()
	input := segment(t, header) + "." + segment(t, payload)
	return input + "." + signature(input, newHash, secret)
}

func segment(t testing.TB, m members) string {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func signature(input string, newHash func() hash.Hash, secret string) string {
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(input))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// minted is mint with SHA-256 and the secret of goodRing.
func minted(t testing.TB, header, payload members) string {
	t.Helper()
	return mint(t, header, payload, sha256.New, secret)
}

// accepts fails the test unless v accepts raw.
func accepts(t testing.TB, v *token.Verifier, raw string) *token.Claims {
	t.Helper()
	claims, err := v.Verify(t.Context(), raw)
	if err != nil || claims == nil {
		t.Fatalf("a valid token is refused: %v", err)
	}
	return claims
}

// decoded returns a part of a token, decoded from base64url.
func decoded(t testing.TB, raw string, part int) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// seconds is a time from start as a NumericDate.
func seconds(d time.Duration) string { return fmt.Sprint(start.Add(d).Unix()) }

// onlyKey returns the members of the only public key of a ring.
func onlyKey(t testing.TB, ring *keyring.Ring) members {
	t.Helper()
	data, err := ring.Public(start)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []members }
	if err := json.Unmarshal(data, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s is not a set of one key (%v)", data, err)
	}
	return set.Keys[0]
}

// fromBase64 returns the bytes of a base64url text, or nil if it is not valid.
func fromBase64(text string) string {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(data)
}
