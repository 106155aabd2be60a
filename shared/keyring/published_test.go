package keyring_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// published returns the public half of a new key as a JWK, with further members. A nil member is removed.
func published(t *testing.T, algorithm, kid string, members map[string]any) string {
	t.Helper()
	ring, _ := generated(t, algorithm)
	public, err := ring.Public(start)
	mustNot(t, err)
	return changed(t, raws(t, public)[0], kid, members)
}

// changed returns a JWK with a kid and further members.
func changed(t *testing.T, jwk, kid string, members map[string]any) string {
	t.Helper()
	all := map[string]any{}
	mustNot(t, json.Unmarshal([]byte(jwk), &all))
	all["kid"] = kid
	for name, value := range members {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	mustNot(t, err)
	return string(text)
}

// jwkOf returns the JWK of a key that this package does not make.
func jwkOf(t *testing.T, key any, kid string) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid})
	mustNot(t, err)
	return string(text)
}

// unusable returns public keys that Parse refuses, by what they are. Their kid is "odd" unless they have none.
func unusable(t *testing.T) map[string]string {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	mustNot(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	mustNot(t, err)
	ed, es := published(t, keyring.EdDSA, "odd", nil), published(t, keyring.ES256, "odd", nil)
	rs := published(t, keyring.RS256, "odd", nil)
	return map[string]string{
		"RSA for encryption":     changed(t, rs, "odd", map[string]any{"use": "enc", "alg": "RSA-OAEP"}),
		"use enc without an alg": changed(t, rs, "odd", map[string]any{"use": "enc", "alg": nil}),
		"ECDH-ES":                changed(t, es, "odd", map[string]any{"use": "enc", "alg": "ECDH-ES"}),
		"RS512":                  changed(t, rs, "odd", map[string]any{"alg": "RS512"}),
		"PS256":                  changed(t, rs, "odd", map[string]any{"alg": "PS256"}),
		"alg none":               changed(t, ed, "odd", map[string]any{"alg": "none"}),
		"HS256 with a key pair":  changed(t, ed, "odd", map[string]any{"alg": "HS256"}),
		"P-384":                  jwkOf(t, &p384.PublicKey, "odd"),
		"X25519":                 changed(t, ed, "odd", map[string]any{"crv": "X25519", "alg": nil}),
		"Ed448":                  changed(t, ed, "odd", map[string]any{"crv": "Ed448", "alg": nil}),
		"unknown kty":            `{"kty":"LATTICE","kid":"odd","x":"AAAA"}`,
		"no kty":                 changed(t, ed, "odd", map[string]any{"kty": nil}),
		"RSA of 1024 bits":       jwkOf(t, &small.PublicKey, "odd"),
		"point not on the curve": changed(t, es, "odd", map[string]any{"x": strings.Repeat("A", 43)}),
		"Ed25519 of 3 bytes":     changed(t, ed, "odd", map[string]any{"x": "AAAA"}),
		"no modulus":             changed(t, rs, "odd", map[string]any{"n": nil}),
		"wrong type of x":        changed(t, ed, "odd", map[string]any{"x": 7}),
		"wrong type of aud":      changed(t, ed, "odd", map[string]any{"aud": []string{billing}}),
		"exp in milliseconds":    changed(t, ed, "odd", map[string]any{"exp": start.UnixMilli()}),
		"wrong certificate":      changed(t, ed, "odd", map[string]any{"x5c": []string{"AAAA"}}),
		"no kid":                 changed(t, ed, "", map[string]any{"kid": nil}),
		"empty kid":              changed(t, ed, "", nil),
		"kid of 129 bytes":       changed(t, ed, strings.Repeat("k", 129), nil),
		"null":                   "null",
		"a text":                 `"odd"`,
		"no members":             "{}",
	}
}

// A published set may have keys that cannot be used here. They are ignored (RFC 7517 section 5), wherever they are and
// even if they have the kid of another key. Parse, for files, refuses them.
func TestParsePublicIgnoresUnusableKeys(t *testing.T) {
	good := published(t, keyring.EdDSA, "good", nil)
	for name, odd := range unusable(t) {
		for _, text := range []string{set(odd, good), set(good, odd), set(odd, good, odd, odd)} {
			ring, err := keyring.ParsePublic([]byte(text))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if _, ok := ring.Verifier("good", start); !ok || ring.Len() != 1 {
				t.Errorf("%s: %d keys, the good one among them: %v", name, ring.Len(), ok)
			}
		}
		if ring, err := keyring.ParsePublic([]byte(set(odd))); !errors.Is(err, keyring.ErrBadRing) || ring != nil ||
			!strings.Contains(err.Error(), "it holds no keys") {
			t.Errorf("%s alone: %v, %v", name, ring, err)
		}
		if _, err := keyring.Parse([]byte(set(good, odd))); err == nil {
			t.Errorf("%s: Parse accepts it", name)
		}
	}
}

// Some sets are refused as a whole, since somebody must see that they are wrong: a secret that everybody can read, two
// keys of which it is unclear which is meant, and text that is read differently elsewhere.
func TestParsePublicRefuses(t *testing.T) {
	good := published(t, keyring.EdDSA, "good", nil)
	_, pair := generated(t, keyring.ES256)
	for name, text := range map[string]string{
		"a shared secret":                  set(good, oct("a")),
		"a shared secret for encryption":   set(good, oct("a", `"use":"enc"`, `"alg":"A256KW"`)),
		"a short shared secret":            set(good, `{"kty":"oct","kid":"a","k":"AAAA"}`),
		"oct without k":                    set(good, `{"kty":"oct","kid":"a"}`),
		"an escaped oct":                   set(good, `{"kty":"\u006fct","kid":"a","k":"AAAA"}`),
		"a private key":                    set(good, raws(t, pair)[0]),
		"a private key for encryption":     set(good, changed(t, raws(t, pair)[0], "a", map[string]any{"use": "enc"})),
		"a private key of an unknown type": set(good, `{"kty":"LATTICE","kid":"a","d":"AAAA"}`),
		"a private key that is malformed":  set(good, changed(t, good, "a", map[string]any{"d": 7})),
		"a prime of a public RSA key":      set(good, published(t, keyring.RS256, "a", map[string]any{"p": "AQAB"})),
		"a seed of a key of RFC 9964":      set(good, `{"kty":"AKP","kid":"a","alg":"ML-DSA-44","priv":"AAAA"}`),
		"the same kid twice":               set(good, published(t, keyring.RS256, "good", nil)),
		"the same key twice":               set(good, good),
		"a repeated member":                set(good, `{"kty":"LATTICE","kid":"a","kid":"b"}`),
		"repeated keys":                    `{"keys":[],"keys":[` + good + `]}`,
		"another spelling of keys":         `{"Keys":[` + good + `]}`,
		"no keys":                          set(),
		"not JSON":                         "keys",
	} {
		if ring, err := keyring.ParsePublic([]byte(text)); !errors.Is(err, keyring.ErrBadRing) || ring != nil {
			t.Errorf("%s: %v, %v", name, ring, err)
		}
	}
	// Null is no secret: some programs write absent members this way.
	if _, err := keyring.ParsePublic([]byte(set(strings.Replace(good, "{", `{"d":null,`, 1)))); err != nil {
		t.Errorf("d is null: %v", err)
	}
}

// A withdrawn key stops verifying although the set has keys that cannot be used, whichever they are. The log says once
// for each set that they are ignored.
func TestURLForgetsAWithdrawnKey(t *testing.T) {
	leaked, next := published(t, keyring.EdDSA, "leaked", nil), published(t, keyring.EdDSA, "next", nil)
	for name, odd := range unusable(t) {
		synctest.Test(t, func(t *testing.T) {
			var answer atomic.Pointer[string]
			answer.Store(new(set(odd, leaked)))
			var log bytes.Buffer
			source, err := keyring.NewURL("https://login.test/jwks.json", slog.New(slog.NewTextHandler(&log, nil)))
			mustNot(t, err)
			keyring.SetTransport(source, roundTrip(func() string { return *answer.Load() }))
			go source.Watch(t.Context())
			verifies := func(kid string) bool {
				_, ok := source.Current().Verifier(kid, start)
				return ok
			}
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
			if !verifies("leaked") || verifies("odd") {
				t.Errorf("%s: the key verifies: %v; the odd one: %v", name, verifies("leaked"), verifies("odd"))
			}
			answer.Store(new(set(next, odd)))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if verifies("leaked") || !verifies("next") {
				t.Errorf("%s: the withdrawn key verifies: %v; the next one: %v", name, verifies("leaked"), verifies("next"))
			}
			if health := source.Health(); health.Err != nil || health.Failures != 0 {
				t.Errorf("%s: %+v", name, health)
			}
			said := log.String()
			if n := strings.Count(said, "\n"); n != 2 || strings.Count(said, "level=INFO") != 2 ||
				strings.Count(said, " ignored=1 ") != 2 || !strings.Contains(said, `first="key 1 of 2: `) ||
				!strings.Contains(said, `first="key 2 of 2: `) || strings.Contains(said, "not a usable JWK Set") {
				t.Errorf("%s: log\n%s", name, said)
			}
		})
	}
}

// A set of which no key can be used is an error, like one without keys. The log says first that keys are ignored.
func TestURLWithoutUsableKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := set(published(t, keyring.RS256, "odd", map[string]any{"use": "enc", "alg": "RSA-OAEP"}))
		var log bytes.Buffer
		source, err := keyring.NewURL("https://login.test/jwks.json", slog.New(slog.NewTextHandler(&log, nil)))
		mustNot(t, err)
		keyring.SetTransport(source, roundTrip(func() string { return answer }))
		go source.Watch(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		said := log.String()
		if err := source.Health().Err; err == nil || !strings.Contains(err.Error(), "publishes no public key") {
			t.Errorf("health: %v", err)
		}
		if !strings.Contains(said, `first="key 1 of 1: its alg is not RS256"`) || strings.Count(said, " ignored=") != 1 {
			t.Errorf("log\n%s", said)
		}
	})
}

// An accepted published set has only public keys that Parse accepts too, and every one of those. No error holds a part
// of the set.
func FuzzParsePublic(f *testing.F) {
	for _, s := range []string{
		"", "null", "{}", `{"keys":[]}`, `{"keys":[null,1,"a",{}]}`, set(oct("a")), set(`{"kty":"oct","kid":"a"}`),
		set(examplePublic("a"), examplePublic("a")), set(examplePublic("a"), examplePublic("b")),
		set(examplePublic("a", `"use":"enc"`), examplePublic("a")), set(examplePublic("a", `"d":"AAAA"`)),
		set(examplePublic("a", `"d":null`)), set(examplePublic("a", `"alg":"ES256"`), examplePublic("b", `"exp":1`)),
		set(`{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}`, examplePublic("b", `"aud":"x"`)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := keyring.ParsePublic([]byte(text))
		if err != nil {
			if ring != nil || !errors.Is(err, keyring.ErrBadRing) {
				t.Fatalf("a ring %v beside the error %v", ring, err)
			}
			refusalIsFixedText(t, err)
			return
		}
		var doc struct{ Keys []json.RawMessage }
		mustNot(t, json.Unmarshal([]byte(text), &doc))
		usable := map[string]bool{}
		for _, raw := range doc.Keys {
			single, err := keyring.Parse([]byte(set(string(raw))))
			if err != nil {
				continue
			}
			if key := single.Keys()[0]; key.SigningKey() != nil || usable[key.ID] {
				t.Fatalf("a set with a private key or a repeated kid was accepted: %v", key)
			} else {
				usable[key.ID] = true
			}
		}
		for _, key := range ring.Keys() {
			if !usable[key.ID] || key.SigningKey() != nil || key.VerificationKey() == nil {
				t.Fatalf("a key that cannot be used was accepted: %v", key)
			}
		}
		if ring.Len() == 0 || ring.Len() != len(usable) {
			t.Fatalf("%d of %d usable keys were read", ring.Len(), len(usable))
		}
	})
}

// examplePublic returns the public key of RFC 8037 appendix A.2 with a kid and further members.
func examplePublic(kid string, members ...string) string {
	all := append([]string{`"kty":"OKP"`, `"crv":"Ed25519"`, `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`,
		`"kid":"` + kid + `"`}, members...)
	return "{" + strings.Join(all, ",") + "}"
}
