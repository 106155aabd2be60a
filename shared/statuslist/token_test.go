package statuslist_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	billing  = "https://billing.example"
	uri      = issuer + "/status-lists/3"
	secret   = "0123456789abcdef0123456789abcdef"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func must[T any](t testing.TB, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func ringOf(t testing.TB, secret string) *keyring.Ring {
	t.Helper()
	ring, err := keyring.FromSecret(secret)
	return must(t, ring, err)
}

func signer(t testing.TB, ring *keyring.Ring) *keyring.Key {
	t.Helper()
	key, err := ring.Signer(start)
	return must(t, key, err)
}

// newToken returns a signed list in which the indices are revoked.
func newToken(indices ...int64) statuslist.Token {
	return statuslist.Token{URI: uri, IssuedAt: start, ExpiresAt: start.Add(time.Hour), TTL: time.Second,
		List: listOf(64, indices...)}
}

func sign(t testing.TB, what statuslist.Token, key *keyring.Key) string {
	t.Helper()
	raw, err := statuslist.Sign(what, key)
	return must(t, raw, err)
}

func expected(ring *keyring.Ring) statuslist.Expected {
	return statuslist.Expected{URI: uri, Keys: ring, Audience: audience, Now: start}
}

// Verify returns what Sign signed, for every algorithm.
func TestSignAndVerify(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		set, err := keyring.Generate(algorithm, start, rand.Reader)
		ring, err2 := keyring.Parse(must(t, set, err))
		must(t, ring, err2)
		for _, ttl := range []time.Duration{0, 500 * time.Millisecond, time.Second, time.Hour} {
			want := newToken(1, 17)
			want.TTL = ttl
			got, err := statuslist.Verify(sign(t, want, signer(t, ring)), expected(ring))
			if err != nil {
				t.Errorf("%s: %v", algorithm, err)
				continue
			}
			if diff := cmp.Diff(revoked(want.List), revoked(got.List)); diff != "" {
				t.Errorf("%s: revoked (-want +got):\n%s", algorithm, diff)
			}
			if got.URI != want.URI || got.TTL != want.TTL || !got.IssuedAt.Equal(want.IssuedAt) ||
				!got.ExpiresAt.Equal(want.ExpiresAt) {
				t.Errorf("%s: got %+v, want %+v", algorithm, got, want)
			}
		}
	}
}

// mint signs headers and claims. A nil value omits one.
func mint(t *testing.T, key *keyring.Key, headers, claims map[string]any) string {
	t.Helper()
	all := jwt.MapClaims{
		"sub": uri, "iat": start.Unix(), "exp": start.Add(time.Hour).Unix(), "ttl": 1,
		"status_list": map[string]any{"bits": 1, "lst": listOf(64).Encode()},
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(key.Algorithm), all)
	unsigned.Header["typ"], unsigned.Header["kid"] = statuslist.Type, key.ID
	maps.Copy(unsigned.Header, headers)
	raw, err := unsigned.SignedString(key.SigningKey())
	return must(t, raw, err)
}

// Verify refuses lists with a wrong header, claim or signature.
func TestVerifyRefuses(t *testing.T) {
	ring := ringOf(t, secret)
	key := signer(t, ring)
	none := map[string]any{}
	good := mint(t, key, none, none)
	if _, err := statuslist.Verify(good, expected(ring)); err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone,
		jwt.MapClaims{"sub": uri}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	must(t, unsigned, err)
	list := func(bits, lst any) map[string]any {
		return map[string]any{"status_list": map[string]any{"bits": bits, "lst": lst}}
	}
	for name, raw := range map[string]string{
		"nothing":                 "",
		"no JWT":                  "a.b.c",
		"another signature":       mint(t, signer(t, ringOf(t, strings.ToUpper(secret))), map[string]any{"kid": key.ID}, none),
		"an unknown key":          mint(t, key, map[string]any{"kid": "x"}, none),
		"alg none":                unsigned,
		"typ of an access token":  mint(t, key, map[string]any{"typ": token.Type}, none),
		"no typ":                  mint(t, key, map[string]any{"typ": nil}, none),
		"crit":                    mint(t, key, map[string]any{"crit": []string{"x"}}, none),
		"the sub of another list": mint(t, key, none, map[string]any{"sub": issuer + "/status-lists/4"}),
		"no sub":                  mint(t, key, none, map[string]any{"sub": nil}),
		"expired":                 mint(t, key, none, map[string]any{"exp": start.Add(-6 * time.Second).Unix()}),
		"no exp":                  mint(t, key, none, map[string]any{"exp": nil}),
		"no iat":                  mint(t, key, none, map[string]any{"iat": nil}),
		"a ttl of nothing":        mint(t, key, none, map[string]any{"ttl": 0}),
		"a negative ttl":          mint(t, key, none, map[string]any{"ttl": -1}),
		"a ttl that is a text":    mint(t, key, none, map[string]any{"ttl": "1"}),
		"two bits for each":       mint(t, key, none, list(2, listOf(64).Encode())),
		"no bits":                 mint(t, key, none, list(nil, listOf(64).Encode())),
		"no list":                 mint(t, key, none, map[string]any{"status_list": nil}),
		"an invalid list":         mint(t, key, none, list(1, "x")),
		"the list of 8 MiB":       mint(t, key, none, list(1, compress(t, make([]byte, 8<<20)))),
		"text after the list":     good + "x",
	} {
		if got, err := statuslist.Verify(raw, expected(ring)); !errors.Is(err, statuslist.ErrToken) {
			t.Errorf("%s: %+v %v, want ErrToken", name, got, err)
		} else if strings.Contains(err.Error(), secret) || (len(raw) > 10 && strings.Contains(err.Error(), raw)) {
			t.Errorf("%s: the error holds the claims: %v", name, err)
		}
	}
}

// A list is valid until exp plus the leeway.
func TestVerifyLeeway(t *testing.T) {
	ring := ringOf(t, secret)
	raw := sign(t, newToken(), signer(t, ring))
	for after, want := range map[time.Duration]bool{time.Hour + 4*time.Second: true, time.Hour + 6*time.Second: false} {
		at := expected(ring)
		at.Now = start.Add(after)
		if _, err := statuslist.Verify(raw, at); (err == nil) != want {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// A list signed with a key bound to another API is refused, even if the ring has the key.
func TestVerifyOfAnotherAPIsKey(t *testing.T) {
	set, err := keyring.Generate(keyring.HS256, start, rand.Reader)
	set, single, err2 := keyring.Add(must(t, set, err), keyring.HS256, billing, start, rand.Reader)
	ring, err3 := keyring.Parse(must(t, set, err2))
	must(t, ring, err3)
	own, err4 := keyring.Parse(single)
	must(t, own, err4)
	key, err5 := own.SignerFor(billing, start)
	forged := sign(t, newToken(), must(t, key, err5))

	if _, err := statuslist.Verify(forged, expected(ring)); !errors.Is(err, statuslist.ErrToken) {
		t.Errorf("a list signed with another API's key: %v", err)
	}
	at := expected(own)
	at.Audience = billing
	if _, err := statuslist.Verify(forged, at); err != nil {
		t.Errorf("a list signed with its own key: %v", err)
	}
}
