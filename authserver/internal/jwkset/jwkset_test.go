package jwkset_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
)

func newKey[K any](t *testing.T, key K, err error) K {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return newKey(t, key, err)
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return newKey(t, key, err)
}

func edKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, _, err := ed25519.GenerateKey(rand.Reader)
	return newKey(t, key, err)
}

func set(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParseRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, small := rsaKey(t, 1024), rsaKey(t, 2048)
	small.E = 3
	p384 := ecKey(t, elliptic.P384())
	for name, tt := range map[string]struct {
		set  string
		says string
	}{
		"empty":             {"", `"keys"`},
		"not an object":     {"[]", `"keys"`},
		"no keys member":    {"{}", `"keys"`},
		"no keys":           {`{"keys":[]}`, "no key"},
		"null":              {`{"keys":[null]}`, "malformed"},
		"repeated member":   {`{"keys":[],"keys":[]}`, `"keys"`},
		"a single key":      {`{"kty":"EC"}`, `"keys"`},
		"private RSA":       {string(set(t, jose.JSONWebKey{Key: rsaKey(t, 2048)})), "key 1 is private"},
		"private EC":        {string(set(t, jose.JSONWebKey{Key: ecKey(t, elliptic.P256())})), "key 1 is private"},
		"shared secret":     {`{"keys":[{"kty":"oct","k":"` + strings.Repeat("A", 43) + `"}]}`, "key 1 is private"},
		"weak RSA":          {string(set(t, jose.JSONWebKey{Key: weak.Public()})), "RSA key of 1024 bits"},
		"small exponent":    {string(set(t, jose.JSONWebKey{Key: &small.PublicKey})), "exponent 3"},
		"another curve":     {string(set(t, jose.JSONWebKey{Key: p384.Public()})), "P-384"},
		"for encryption":    {string(set(t, jose.JSONWebKey{Key: edKey(t), Use: "enc"})), `"use"`},
		"another algorithm": {string(set(t, jose.JSONWebKey{Key: edKey(t), Algorithm: "HS256"})), "another algorithm"},
		"algorithm and type differ": {
			string(set(t, jose.JSONWebKey{Key: edKey(t), Algorithm: "RS256"})), "does not fit its type",
		},
		"point not on the curve": {
			`{"keys":[{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}]}`,
			"malformed",
		},
		"too large":     {`{"keys":[` + strings.Repeat(" ", jwkset.MaxBytes) + `]}`, "larger than"},
		"too many keys": {`{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, "more than 100"},
	} {
		_, err := jwkset.Parse([]byte(tt.set))
		if !errors.Is(err, jwkset.ErrBad) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, tt.says)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	rsa1, rsa2, ec, ed := rsaKey(t, 2048).Public(), rsaKey(t, 2048).Public(), ecKey(t, elliptic.P256()).Public(), edKey(t)
	keys, err := jwkset.Parse(set(t,
		jose.JSONWebKey{Key: rsa1, KeyID: "rsa1", Algorithm: "RS256"},
		jose.JSONWebKey{Key: rsa2, KeyID: "rsa2"},
		jose.JSONWebKey{Key: ec, KeyID: "same"},
		jose.JSONWebKey{Key: ed, KeyID: "same", Use: "sig"},
		jose.JSONWebKey{Key: edKey(t), KeyID: "encryption", Use: "enc"},
		jose.JSONWebKey{Key: ecKey(t, elliptic.P521()).Public(), KeyID: "ignored"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		kid       string
		algorithm jose.SignatureAlgorithm
		want      any
	}{
		"by kid":                     {"rsa1", jose.RS256, rsa1},
		"other algorithm of the key": {"rsa1", jose.PS256, nil},
		"key without alg":            {"rsa2", jose.PS256, rsa2},
		"kid of another type":        {"rsa1", jose.ES256, nil},
		"one kid, two types":         {"same", jose.ES256, ec},
		"one kid, the other type":    {"same", jose.EdDSA, ed},
		"no kid, one fits":           {"", jose.ES256, ec},
		"no kid, one has PS256":      {"", jose.PS256, rsa2},
		"no kid, several fit":        {"", jose.RS256, nil},
		"unknown kid":                {"rsa3", jose.RS256, nil},
		"key that was left out":      {"encryption", jose.EdDSA, nil},
		"HS256":                      {"rsa1", jose.HS256, nil},
	} {
		got, err := keys.Find(tt.kid, tt.algorithm)
		if tt.want == nil {
			if !errors.Is(err, jwkset.ErrNoKey) {
				t.Errorf("%s: got %v, %v, want ErrNoKey", name, got, err)
			}
			continue
		}
		if want, ok := tt.want.(interface{ Equal(crypto.PublicKey) bool }); !ok || err != nil || !want.Equal(got) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}
