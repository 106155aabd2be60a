package keyring_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/keyring"
)

// compact returns a JWS of the header and the payload, signed with the secret of oct.
func compact(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, []byte(material))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestSignIsCompactSerialization(t *testing.T) {
	key, err := parse(t, set(oct("a"))).Signer(start)
	if err != nil {
		t.Fatal(err)
	}
	got, err := key.Sign("example+jwt", []byte(`{"sub":"usr_1"}`))
	if want := compact(`{"alg":"HS256","kid":"a","typ":"example+jwt"}`, `{"sub":"usr_1"}`); err != nil || got != want {
		t.Errorf("Sign gave %q, %v, want %q", got, err, want)
	}
}

func TestPublicKeyDoesNotSign(t *testing.T) {
	data, err := keyring.Generate(keyring.EdDSA, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := parse(t, string(data)).Public(start)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parse(t, string(public)).Keys()[0].Sign("example+jwt", []byte("{}")); err == nil {
		t.Errorf("a public key signed %q", got)
	}
}

// A header is read exactly (RFC 7515 section 4), and each part is base64url without line breaks
// (RFC 7515 section 2).
func TestVerify(t *testing.T) {
	ring := parse(t, set(oct("a")))
	good := compact(`{"alg":"HS256","kid":"a","typ":"example+jwt"}`, "payload")
	for _, tt := range []struct{ name, compact, err string }{
		{"valid", good, ""},
		{"members in another order, and unknown ones",
			compact(`{"x":[1],"typ":"application/Example+JWT","jku":"https://evil.example","kid":"a","alg":"HS256"}`, "payload"), ""},
		{"repeated kid", compact(`{"alg":"HS256","kid":"b","kid":"a","typ":"example+jwt"}`, "payload"), "repeated"},
		{"KID beside no kid", compact(`{"alg":"HS256","KID":"a","typ":"example+jwt"}`, "payload"), "kid names no key"},
		{"crit null", compact(`{"alg":"HS256","kid":"a","typ":"example+jwt","crit":null}`, "payload"), "crit"},
		{"typ of something else", compact(`{"alg":"HS256","kid":"a","typ":"at+jwt"}`, "payload"), "typ is not"},
		{"alg of another key type", compact(`{"alg":"RS256","kid":"a","typ":"example+jwt"}`, "payload"), "alg is not"},
		{"header that is a list", compact(`[]`, "payload"), "the header"},
		{"header that is not UTF-8", compact("{\"alg\":\"HS256\",\"kid\":\"a\",\"typ\":\"example+jwt\",\"x\":\"\xff\"}", "payload"), "the header"},
		{"another payload", strings.Replace(good, ".", ".AAAA", 1), "signature"},
		{"line break in the payload", strings.Replace(good, ".", ".\n", 1), "base64url"},
		{"padding", good + "=", "base64url"},
		{"fourth part", good + ".AAAA", "base64url"},
		{"no signature", good[:strings.LastIndexByte(good, '.')+1], "base64url"},
		{"empty", "", "base64url"},
	} {
		payload, key, err := keyring.Verify(ring, tt.compact, "example+jwt", start)
		if tt.err == "" {
			if err != nil || string(payload) != "payload" || key.ID != "a" {
				t.Errorf("%s: Verify gave %q, %v, %v", tt.name, payload, key, err)
			}
			continue
		}
		if err == nil || payload != nil || key != nil || !strings.Contains(err.Error(), tt.err) ||
			errors.Is(err, keyring.ErrPending) {
			t.Errorf("%s: Verify gave %q, %v, %v, want an error with %q", tt.name, payload, key, err, tt.err)
		}
	}
}
