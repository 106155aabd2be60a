package keyring_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// material is the secret of every key in these tests, and encodedMaterial its k in a JWK. No error may
// hold either.
const material = "a-secret-of-these-tests-32-bytes"

var encodedMaterial = base64.RawURLEncoding.EncodeToString([]byte(material))

// start is the current time of the tests.
var start = time.Unix(1_800_000_000, 0)

// set returns a JWK Set with the keys, which are JSON.
func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// oct returns a valid key with additional members, such as `"use":"sig"`.
func oct(kid string, members ...string) string {
	all := append([]string{`"kty":"oct"`, `"kid":"` + kid + `"`, `"k":"` + encodedMaterial + `"`}, members...)
	return "{" + strings.Join(all, ",") + "}"
}

func parse(t *testing.T, text string) *keyring.Ring {
	t.Helper()
	ring, err := keyring.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// HS256 needs a key of 256 bits or more (RFC 7518 section 3.2).
func TestFromSecretNeeds256Bits(t *testing.T) {
	for _, secret := range []string{"", "hunter2", material[:31]} {
		ring, err := keyring.FromSecret(secret)
		if !errors.Is(err, keyring.ErrWeakKey) || ring != nil {
			t.Errorf("FromSecret of %d bytes: %v, %v, want ErrWeakKey", len(secret), ring, err)
		}
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
	if _, err := keyring.FromSecret(material); err != nil {
		t.Errorf("FromSecret of 32 bytes: %v", err)
	}
}

// The bytes of the string are the key; nothing is decoded or trimmed.
func TestFromSecretDecodesNothing(t *testing.T) {
	for _, secret := range []string{
		strings.Repeat("ab", 32), // would be 32 bytes of hex
		encodedMaterial,
		" " + material + "\n",
		"\x00\xff" + material,
	} {
		ring, err := keyring.FromSecret(secret)
		if err != nil {
			t.Fatalf("FromSecret(%q): %v", secret, err)
		}
		key, err := ring.Signer(start)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(key.Secret()); got != secret {
			t.Errorf("FromSecret(%q) has the key %q", secret, got)
		}
		if same, ok := ring.Verifier(key.ID, start); !ok || same != key {
			t.Errorf("FromSecret(%q): what signs does not verify", secret)
		}
	}
}

func TestFromSecretDerivesTheID(t *testing.T) {
	id := func(secret string) string {
		ring, err := keyring.FromSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ring.Signer(start)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID
	}
	if here, there := id(material), id(material); here != there {
		t.Error("one secret has two ids")
	}
	if id(material) == id(material+"x") {
		t.Error("two secrets have one id")
	}
	if strings.Contains(material, id(material)) {
		t.Error("the id is a part of the secret")
	}
}

// Printing a key does not reveal its material.
func TestKeyPrintsOnlyItsID(t *testing.T) {
	key, ok := parse(t, set(oct("a"))).Verifier("a", start)
	if !ok {
		t.Fatal("no key")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); got != "key a" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	weak := base64.RawURLEncoding.EncodeToString([]byte(material[:31]))
	tests := []struct {
		name, text string
		err        error
		says       string
	}{
		{"empty file", "", keyring.ErrBadRing, "not JSON"},
		{"not JSON", material, keyring.ErrBadRing, "not JSON"},
		{"a secret instead of a set", `"` + encodedMaterial + `"`, keyring.ErrBadRing, "not JSON of the form"},
		{"text after the set", set(oct("a")) + encodedMaterial, keyring.ErrBadRing, "not JSON"},
		{"cut off", set(oct("a"))[:60], keyring.ErrBadRing, "not JSON"},
		{"a key instead of a set", oct("a"), keyring.ErrBadRing, "holds no keys"},
		{"empty set", set(), keyring.ErrBadRing, "holds no keys"},
		{"null", "null", keyring.ErrBadRing, "holds no keys"},
		{"a key that is a text", set(`"` + encodedMaterial + `"`), keyring.ErrBadRing, "key 1 of 1"},
		{"keys in capitals", `{"KEYS":[` + oct("a") + `]}`, keyring.ErrBadRing, "not JSON of the form"},
		{"keys twice", `{"keys":[],"keys":[` + oct("a") + `]}`, keyring.ErrBadRing, "repeated"},
		{"kid twice", set(oct("a", `"kid":"b"`)), keyring.ErrBadRing, "repeated"},
		{"aud twice", set(oct("a", `"aud":"x"`, `"aud":"y"`)), keyring.ErrBadRing, "repeated"},
		{"exp twice", set(oct("a", `"exp":1`, `"exp":2`)), keyring.ErrBadRing, "repeated"},
		{"kty in capitals only", set(`{"KTY":"oct","kid":"a","k":"` + encodedMaterial + `"}`), keyring.ErrBadRing, "not a JWK"},
		{"no kid", set(`{"kty":"oct","k":"` + encodedMaterial + `"}`), keyring.ErrBadRing, "no kid"},
		{"empty kid", set(oct("")), keyring.ErrBadRing, "no kid"},
		{"kid of 129 bytes", set(oct(strings.Repeat("x", 129))), keyring.ErrBadRing, "more than 128"},
		{"kid that is a number", set(`{"kty":"oct","kid":7,"k":"` + encodedMaterial + `"}`), keyring.ErrBadRing, "wrong type"},
		{"duplicate kid", set(oct("a"), oct("b"), oct("a")), keyring.ErrBadRing, "key 3 of 3"},
		{"no kty", set(`{"kid":"a","k":"` + encodedMaterial + `"}`), keyring.ErrBadRing, "not a JWK"},
		{"no k", set(`{"kty":"oct","kid":"a"}`), keyring.ErrBadRing, "not a JWK"},
		{"k that is not base64url", set(`{"kty":"oct","kid":"a","k":"` + encodedMaterial + `!"}`), keyring.ErrBadRing, "not a JWK"},
		{"alg HS512", set(oct("a", `"alg":"HS512"`)), keyring.ErrBadRing, "alg is not HS256"},
		{"alg none", set(oct("a", `"alg":"none"`)), keyring.ErrBadRing, "alg is not HS256"},
		{"use enc", set(oct("a", `"use":"enc"`)), keyring.ErrBadRing, "use is not sig"},
		{"31 bytes", set(oct("a"), `{"kty":"oct","kid":"b","k":"`+weak+`"}`), keyring.ErrWeakKey, "key 2 of 2"},
		{"nbf that is a text", set(oct("a", `"nbf":"2027-01-01"`)), keyring.ErrBadRing, "wrong type"},
		{"nbf in milliseconds", set(oct("a", `"nbf":1800000000000`)), keyring.ErrBadRing, "seconds"},
		{"nbf that wraps around", set(oct("a", `"nbf":9223372036854775807`)), keyring.ErrBadRing, "seconds"},
		{"exp of zero", set(oct("a", `"exp":0`)), keyring.ErrBadRing, "seconds"},
		{"exp before 1970", set(oct("a", `"exp":-1`)), keyring.ErrBadRing, "seconds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ring, err := keyring.Parse([]byte(tt.text))
			if !errors.Is(err, tt.err) || ring != nil {
				t.Fatalf("Parse gave %v, %v, want the error %v", ring, err, tt.err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the error %q does not contain %q", err, tt.says)
			}
			holdsNoMaterial(t, err)
		})
	}
}

// holdsNoMaterial fails the test if eight consecutive characters of the secret, encoded or not, are in
// the error.
func holdsNoMaterial(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{material, encodedMaterial} {
		for i := range len(secret) - 8 {
			if strings.Contains(err.Error(), secret[i:i+8]) {
				t.Fatalf("the error holds key material: %v", err)
			}
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for name, key := range map[string]string{
		"the least":                   oct("a"),
		"alg and use":                 oct("a", `"alg":"HS256"`, `"use":"sig"`),
		"a schedule":                  oct("a", `"nbf":1`, `"exp":253402300799`),
		"members that nobody defined": oct("a", `"rotated_by":"ops"`),
		"kid of 128 bytes":            oct(strings.Repeat("x", 128)),
	} {
		ring, err := keyring.Parse([]byte(set(key)))
		if err != nil || ring.Len() != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Members of a JWK are case-sensitive (RFC 7517 section 4): AUD is not the member that binds a key.
func TestMemberNamesAreCaseSensitive(t *testing.T) {
	key := parse(t, set(oct("a", `"AUD":"https://b.example"`, `"Exp":1`, `"NBF":253402300799`))).Keys()[0]
	if key.Audience != "" || !key.VerifiesUntil.IsZero() || !key.SignsFrom.IsZero() {
		t.Errorf("audience %q, from %v until %v", key.Audience, key.SignsFrom, key.VerifiesUntil)
	}
}

// Of the keys that may sign, the one with the latest nbf signs. A key verifies until its exp, also
// before its nbf.
func TestSchedule(t *testing.T) {
	at := func(d time.Duration) string { return fmt.Sprint(start.Add(d).Unix()) }
	ring := parse(t, set(
		oct("next", `"nbf":`+at(time.Hour)),
		oct("old", `"nbf":`+at(-2*time.Hour), `"exp":`+at(2*time.Hour)),
		oct("now", `"nbf":`+at(-time.Hour), `"exp":`+at(3*time.Hour)),
		oct("always", `"exp":`+at(4*time.Hour)),
	))
	tests := []struct {
		at        time.Duration
		signer    string
		verifiers []string
	}{
		{-3 * time.Hour, "always", []string{"next", "old", "now", "always"}},
		{-2 * time.Hour, "old", []string{"next", "old", "now", "always"}},
		{-time.Hour - time.Second, "old", []string{"next", "old", "now", "always"}},
		{-time.Hour, "now", []string{"next", "old", "now", "always"}},
		{time.Hour - time.Second, "now", []string{"next", "old", "now", "always"}},
		{time.Hour, "next", []string{"next", "old", "now", "always"}},
		{2*time.Hour - time.Second, "next", []string{"next", "old", "now", "always"}},
		{2 * time.Hour, "next", []string{"next", "now", "always"}},
		{4 * time.Hour, "next", []string{"next"}},
	}
	for _, tt := range tests {
		now := start.Add(tt.at)
		signer, err := ring.Signer(now)
		if err != nil || signer.ID != tt.signer {
			t.Errorf("at %v: %v signs (%v), want %s", tt.at, signer, err, tt.signer)
		}
		var verifiers []string
		for _, id := range []string{"next", "old", "now", "always"} {
			if key, ok := ring.Verifier(id, now); ok && key.ID == id {
				verifiers = append(verifiers, id)
			}
		}
		if diff := cmp.Diff(tt.verifiers, verifiers); diff != "" {
			t.Errorf("at %v, verifiers (-want +got):\n%s", tt.at, diff)
		}
	}
}

func TestNoSigner(t *testing.T) {
	ring := parse(t, set(
		oct("over", `"exp":`+fmt.Sprint(start.Unix())),
		oct("to come", `"nbf":`+fmt.Sprint(start.Unix()+1)),
	))
	if key, err := ring.Signer(start); !errors.Is(err, keyring.ErrNoSigner) {
		t.Errorf("%v signs (%v), want ErrNoSigner", key, err)
	}
}

func TestVerifierOfUnknownKeys(t *testing.T) {
	ring := parse(t, set(oct("a")))
	for _, id := range []string{"", "b", "A", "../a", "a\x00"} {
		if key, ok := ring.Verifier(id, start); ok {
			t.Errorf("Verifier(%q) = %v", id, key)
		}
	}
}

func TestParseReadsGeneratedKeys(t *testing.T) {
	data, err := keyring.Generate(keyring.HS256, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(data, []byte("}\n")) {
		t.Errorf("the file does not end in a newline: %q", data)
	}
	ring := parse(t, string(data))
	if key, err := ring.Signer(start.Add(-time.Second)); !errors.Is(err, keyring.ErrNoSigner) {
		t.Errorf("%v signs before its time", key)
	}
	key, err := ring.Signer(start)
	if err != nil {
		t.Fatal(err)
	}
	if len(key.Secret()) != keyring.MinSecret || key.Algorithm != keyring.HS256 || !key.SignsFrom.Equal(start) ||
		!key.VerifiesUntil.IsZero() {
		t.Errorf("key of %d bytes for %s from %v until %v", len(key.Secret()), key.Algorithm, key.SignsFrom,
			key.VerifiesUntil)
	}
	other, err := keyring.Generate(keyring.HS256, start, rand.Reader)
	if err != nil || bytes.Equal(data, other) {
		t.Errorf("a second key is the first one again (%v)", err)
	}
}

// A source of randomness that ends early is an error.
func TestGenerateNeedsAllRandomness(t *testing.T) {
	slow := iotest.OneByteReader(strings.NewReader(material))
	data, err := keyring.Generate(keyring.HS256, start, slow)
	if err != nil {
		t.Fatal(err)
	}
	key, err := parse(t, string(data)).Signer(start)
	if err != nil || string(key.Secret()) != material {
		t.Errorf("the key is not what was read (%v)", err)
	}
	for name, random := range map[string]io.Reader{
		"fails":      iotest.ErrReader(errors.New("no entropy")),
		"ends early": strings.NewReader(material[:31]),
	} {
		if data, err := keyring.Generate(keyring.HS256, start, random); err == nil {
			t.Errorf("%s: got %s", name, data)
		}
	}
}

// Each accepted key has a unique kid and 32 bytes or more, and an error holds nothing of the set.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "null", "{}", `{"keys":[]}`, set(oct("a")), set(oct("a"), oct("a")), set(oct("a", `"exp":1`), oct("b", `"nbf":1`)),
		set(`{"kty":"oct","kid":"a","k":"AAAA"}`), set(`{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}`),
		set(oct("a", `"alg":"HS512"`)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := keyring.Parse([]byte(text))
		if err != nil {
			if ring != nil {
				t.Fatalf("a ring beside the error %v", err)
			}
			refusalIsFixedText(t, err)
			return
		}
		acceptedIsUsable(t, text, ring)
	})
}

// refusalIsFixedText checks that an error is one of the texts in the source, apart from numbers, so that it
// holds no part of the set.
func refusalIsFixedText(t *testing.T, err error) {
	t.Helper()
	text := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '#'
		}
		return r
	}, err.Error())
	for strings.Contains(text, "##") {
		text = strings.ReplaceAll(text, "##", "#")
	}
	switch strings.TrimPrefix(text, "key # of #: ") {
	case `not a usable JWK Set: it is not JSON of the form {"keys": [...]}`,
		"not a usable JWK Set: it holds no keys",
		"not a usable JWK Set: a member is repeated",
		"not a usable JWK Set: it is not a JWK, or one of its members has the wrong type",
		"not a usable JWK Set: its type is not supported",
		"not a usable JWK Set: it is not a public key",
		"not a usable JWK Set: its curve is not P-#",
		"not a usable JWK Set: its alg is not HS#",
		"not a usable JWK Set: its alg is not ES#",
		"not a usable JWK Set: its alg is not RS#",
		"not a usable JWK Set: its alg is not EdDSA",
		"key is too short: it is an RSA key of # bits, RS# needs #",
		"not a usable JWK Set: its use is not sig",
		"not a usable JWK Set: its nbf or exp is not in seconds since #",
		"not a usable JWK Set: it has no kid, or one of more than # bytes",
		"not a usable JWK Set: another key has the same kid",
		"key is too short: it has # bytes, HS# needs #":
	default:
		t.Fatalf("an error whose text is not fixed: %q", err)
	}
}

func acceptedIsUsable(t *testing.T, text string, ring *keyring.Ring) {
	t.Helper()
	var doc struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(text), &doc); err != nil || len(doc.Keys) != ring.Len() || ring.Len() == 0 {
		t.Fatalf("%d keys of %d were read (%v)", ring.Len(), len(doc.Keys), err)
	}
	seen := map[string]bool{}
	for _, raw := range doc.Keys {
		var jwk jose.JSONWebKey
		if err := json.Unmarshal(raw, &jwk); err != nil {
			t.Fatal(err)
		}
		key, ok := ring.Verifier(jwk.KeyID, time.Unix(0, 0))
		secret, shared := jwk.Key.([]byte)
		if !ok || key.ID == "" || seen[key.ID] || key.VerificationKey() == nil ||
			shared && (len(key.Secret()) < keyring.MinSecret || !bytes.Equal(key.Secret(), secret)) ||
			!shared && key.Secret() != nil {
			t.Fatalf("a key that cannot be used was accepted: %v of %d bytes", key, len(key.Secret()))
		}
		seen[key.ID] = true
	}
}
