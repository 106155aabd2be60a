package vectors_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// tokenSecret is a shared secret that is given as text.
const tokenSecret = "a shared secret of 32 bytes or more, for tests only"

// sources returns the keys of the APIs.
func sources(t *testing.T) map[string]source {
	t.Helper()
	published := set(t,
		jwk(t, "ed", object{"alg": "EdDSA", "use": "sig", "nbf": now - 3600}),
		jwk(t, "es", object{"nbf": now + 3600}), // it is announced, and will sign later
		jwk(t, "rs", object{"exp": now + 3600}),
		jwk(t, "ed-ended", object{"exp": now}),
		jwk(t, "ed-billing", object{"aud": billing}),
		jwk(t, "ed-id-token", object{"aud": "urn:hallpass:id-token:EdDSA"}),
	)
	beside := set(t, append(unusable(t), jwk(t, "ed", nil))...)
	shared := set(t, jwk(t, "hs", nil), jwk(t, "hs-ended", object{"exp": now}), jwk(t, "ed", nil))
	return map[string]source{
		"published": {Kind: "url", Set: json.RawMessage(published)},
		"others":    {Kind: "url", Set: json.RawMessage(beside)},
		"file":      {Kind: "file", Set: json.RawMessage(shared)},
		"own file":  {Kind: "file", Set: json.RawMessage(set(t, jwk(t, "hs-own", object{"aud": audience})))},
		"secret":    {Kind: "secret", Secret: tokenSecret},
	}
}

// unusable returns public keys that no API can use. In a published set they are ignored (RFC 7517 section 5).
func unusable(t *testing.T) []object {
	t.Helper()
	es := jwk(t, "es", nil)
	return []object{
		jwk(t, "rs", object{"use": "enc", "alg": "RSA-OAEP"}),
		jwk(t, "rs-1024", nil),
		jwk(t, "p-384", nil),
		{"kty": "LATTICE", "kid": "lattice", "x": "AAAA"},
		with(object{"kid": "rs512", "alg": "RS512"}, jwk(t, "rs", nil)),
		with(object{"kid": "x25519", "crv": "X25519"}, jwk(t, "ed", nil)),
		with(object{"kid": "no point", "x": strings.Repeat("A", 43)}, es),
		with(object{"kid": nil}, es),
		with(object{"kid": strings.Repeat("k", 129)}, es),
		with(object{"x": 7}, es),
		with(object{"kid": "es-milliseconds", "exp": int64(now) * 1000}, es),
		with(object{"kid": "ed", "use": "enc"}, jwk(t, "ed", nil)), // the kid of a key that is used
	}
}

// keySets returns sets of keys that an API may use or not.
func keySets(t *testing.T) []keySet {
	t.Helper()
	hs, ed := jwk(t, "hs", nil), jwk(t, "ed", nil)
	idToken := jwk(t, "ed-id-token", object{"aud": "urn:hallpass:id-token:EdDSA"})
	own := jwk(t, "hs-own", object{"aud": audience})
	repeated := strings.Replace(set(t, ed), `{"keys":`, `{"keys":[],"keys":`, 1)
	return []keySet{
		{"two secrets", "file", set(t, hs, jwk(t, "hs-ended", nil)), true},
		{"a public key", "file", set(t, ed), true},
		{"a key pair", "file", set(t, privateJWK(t, "ed")), true},
		{"a secret of this API", "file", set(t, own), true},
		{"a key for ID tokens beside a secret", "file", set(t, hs, idToken), true},
		{"members that nobody knows", "file", set(t, with(object{"note": 1, "Kid": 7}, hs)), true},
		{"the end of the year 9999", "file", set(t, with(object{"exp": 253402300799}, hs)), true},

		{"empty text", "file", "", false},
		{"not JSON", "file", "keys", false},
		{"a list", "file", "[]", false},
		{"no keys", "file", `{"keys":[]}`, false},
		{"repeated keys", "file", repeated, false},
		{"another spelling of keys", "file", strings.Replace(set(t, ed), "keys", "Keys", 1), false},
		{"no kid", "file", set(t, with(object{"kid": nil}, hs)), false},
		{"a kid of 129 bytes", "file", set(t, with(object{"kid": strings.Repeat("k", 129)}, hs)), false},
		{"the same kid twice", "file", set(t, hs, with(object{"kid": "hs"}, ed)), false},
		{"a secret of 31 bytes", "file", set(t, jwk(t, "hs-short", nil)), false},
		{"RSA of 1024 bits", "file", set(t, jwk(t, "rs-1024", nil)), false},
		{"another curve", "file", set(t, jwk(t, "p-384", nil)), false},
		{"another type", "file", set(t, with(object{"kty": "none"}, hs)), false},
		{"the alg of another type", "file", set(t, with(object{"alg": "HS256"}, ed)), false},
		{"another alg", "file", set(t, with(object{"alg": "HS512"}, hs)), false},
		{"for encryption", "file", set(t, with(object{"use": "enc"}, hs)), false},
		{"exp in milliseconds", "file", set(t, with(object{"exp": int64(now) * 1000}, hs)), false},
		{"exp 0", "file", set(t, with(object{"exp": 0}, hs)), false},
		{"exp is a text", "file", set(t, with(object{"exp": "tomorrow"}, hs)), false},
		{"a secret of another API", "file", set(t, jwk(t, "hs-billing", object{"aud": billing})), false},
		{"a secret of another API beside one's own", "file", set(t, own, jwk(t, "hs-billing", object{"aud": billing})), false},
		{"the secret of the default API beside one's own", "file", set(t, own, hs), false},

		{"public keys", "url", set(t, ed, jwk(t, "es", nil), jwk(t, "rs", nil)), true},
		{"a key of another API", "url", set(t, ed, jwk(t, "ed-billing", object{"aud": billing})), true},
		{"a key for ID tokens beside a public key", "url", set(t, ed, idToken), true},

		{"RSA of 1024 bits beside a public key", "url", set(t, ed, jwk(t, "rs-1024", nil)), true},
		{"a key for encryption beside a public key", "url", set(t, with(object{"use": "enc"}, jwk(t, "rs", nil)), ed), true},
		{"another type beside a public key", "url", set(t, ed, object{"kty": "LATTICE", "kid": "a"}), true},
		{"an element that is null beside a public key", "url", strings.Replace(set(t, ed), "[", "[null,", 1), true},
		{"a private member that is null", "url", strings.Replace(set(t, ed), `[{`, `[{"d":null,`, 1), true},

		{"no keys", "url", `{"keys":[]}`, false},
		{"keys for ID tokens only", "url", set(t, idToken), false},
		{"a secret", "url", set(t, hs), false},
		{"a private key", "url", set(t, ed, privateJWK(t, "es")), false},
		{"keys that no API can use", "url", set(t, unusable(t)...), false},
		{"a secret for encryption", "url", set(t, ed, with(object{"use": "enc"}, hs)), false},
		{"a private key of an unknown type", "url", set(t, ed, object{"kty": "LATTICE", "kid": "a", "d": "AAAA"}), false},
		{"the same kid twice", "url", set(t, ed, with(object{"kid": "ed"}, jwk(t, "es", nil))), false},
		{"repeated keys", "url", repeated, false},
	}
}

// packed returns the member lst of a list of bytes.
func packed(t *testing.T, bits []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bits); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64url(b.Bytes())
}

// bits returns encoded lists. The first two are of draft-ietf-oauth-status-list.
func bits(t *testing.T) []bitString {
	t.Helper()
	const small = "eNrbuRgAAhcBXQ"
	raw, err := base64.RawURLEncoding.DecodeString(small)
	if err != nil {
		t.Fatal(err)
	}
	return []bitString{
		{"sixteen bits", small, true, 16, []int64{0, 3, 4, 5, 7, 8, 9, 13, 15}},
		{"a million bits", draftList, true, 1 << 20,
			[]int64{0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}},
		{"no bits", packed(t, nil), true, 0, nil},

		{"one byte more than the longest list", packed(t, make([]byte, 1<<17+1)), false, 0, nil},
		{"a hundred times the longest list", packed(t, make([]byte, 100<<17)), false, 0, nil},
		{"padding", small + "==", false, 0, nil},
		{"a line break", small[:4] + "\n" + small[4:], false, 0, nil},
		{"base64 that is not base64url", "eNrbuRgAAhcB+/8", false, 0, nil},
		{"bits after the end of base64url", small[:len(small)-1] + "R", false, 0, nil},
		{"not ZLIB", base64url([]byte("not ZLIB")), false, 0, nil},
		{"cut", base64url(raw[:len(raw)-1]), false, 0, nil},
		{"data after it", base64url(append(raw, 0)), false, 0, nil},
		{"a wrong checksum", base64url(append(raw[:len(raw)-1:len(raw)-1], 0)), false, 0, nil},
		{"empty", "", false, 0, nil},
	}
}
