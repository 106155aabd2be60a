package jwkset_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/authserver/internal/jwkset"
)

// Keys of RFC 7517 appendix A.1 and RFC 8037 appendix A.2, as seeds.
const (
	exampleEC = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
		`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"1"}`
	exampleEd = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

// A JWK Set that is accepted has no private key, and every key that can be found in it is strong, and is read the same
// by go-jose from the whole set.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"keys":[` + exampleEC + `]}`, `{"keys":[` + exampleEC + `,` + exampleEd + `]}`, `{"keys":[null]}`, `{}`, "",
		`{"keys":[` + strings.Replace(exampleEC, `"use"`, `"d":"x","use"`, 1) + `]}`,
		`{"keys":[` + strings.Replace(exampleEC, `"x":"M`, `"x":"N`, 1) + `]}`, // not on the curve
		`{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":[],"keys":[` + exampleEd + `]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"RSA","n":"","e":"AAAAAAAAAAAAAAAAAQ"}]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := jwkset.Parse([]byte(text))
		if err != nil {
			if !errors.Is(err, jwkset.ErrBad) {
				t.Errorf("%q: %v is not ErrBad", text, err)
			}
			return
		}
		var all jose.JSONWebKeySet
		var members struct{ Keys []map[string]any }
		if json.Unmarshal([]byte(text), &members) != nil {
			t.Fatalf("%q: accepted, and is not JSON", text)
		}
		for _, key := range members.Keys {
			if key["d"] != nil || key["k"] != nil {
				t.Errorf("%q: a private key was accepted", text)
			}
		}
		if json.Unmarshal([]byte(text), &all) != nil {
			return // go-jose refuses the whole set for one key
		}
		for _, key := range all.Keys {
			for _, algorithm := range jwkset.Algorithms {
				if found, err := set.Find(key.KeyID, algorithm); err == nil {
					checkStrong(t, text, found)
				}
			}
		}
	})
}

// checkStrong checks a key that can verify signatures.
func checkStrong(t *testing.T, text string, key any) {
	t.Helper()
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 || key.E < 65537 {
			t.Errorf("%q: a weak RSA key was accepted", text)
		}
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err != nil || key.Curve != elliptic.P256() {
			t.Errorf("%q: an EC key that is not a point of P-256 was accepted: %v", text, err)
		}
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			t.Errorf("%q: an Ed25519 key of %d bytes was accepted", text, len(key))
		}
	default:
		t.Errorf("%q: a key of the type %T was accepted", text, key)
	}
}
