package statuslist_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// Only the list that was signed is accepted, byte for byte.
func FuzzVerify(f *testing.F) {
	ring := ringOf(f, secret)
	good := sign(f, newToken(1, 17), signer(f, ring))
	for _, raw := range []string{good, good + ".", good[1:], good + "=", "", "..", good + "\n", strings.ToUpper(good)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		_, err := statuslist.Verify(raw, expected(ring))
		if (err == nil) != (raw == good) || err != nil && !errors.Is(err, statuslist.ErrToken) {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// Whatever the key signs: an accepted list is for this URI, of now, and has bits that encode to the same text's bits
// (draft-ietf-oauth-status-list section 5.1).
func FuzzVerifySigned(f *testing.F) {
	ring := ringOf(f, secret)
	good := sign(f, newToken(1, 17), signer(f, ring))
	parts := strings.Split(good, ".")
	header, payload := decoded(f, parts[0]), decoded(f, parts[1])
	f.Add(header, payload)
	for _, change := range [][2]string{
		{`"sub"`, `"Sub"`}, {`"bits":1`, `"bits":2`}, {`"ttl":1`, `"ttl":-1`}, {`"ttl":1`, `"ttl":1e300`}, {`"ttl":1`,
			`"ttl":null`},
		{`"exp"`, `"exp":1,"exp"`}, {`"exp"`, `"nbf":9e9,"exp"`}, {`"lst":"`, `"lst":"A`}, {`"iat"`, `"x"`},
	} {
		f.Add(header, strings.Replace(payload, change[0], change[1], 1))
	}
	f.Add(strings.Replace(header, "statuslist+jwt", "at+jwt", 1), payload)
	f.Add(`{"alg":"none"}`, payload)
	f.Fuzz(func(t *testing.T, header, payload string) {
		got, err := statuslist.Verify(signed(header, payload), expected(ring))
		if err != nil {
			return
		}
		var h, p map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &p) != nil {
			t.Fatalf("%s %s: accepted", header, payload)
		}
		if h["alg"] != "HS256" || h["crit"] != nil || p["sub"] != uri || got.URI != uri ||
			start.After(got.ExpiresAt.Add(time.Minute)) || got.TTL < 0 || got.TTL > 24*time.Hour {
			t.Errorf("%s %s: accepted as %+v", header, payload, got)
		}
		again, err := statuslist.Decode(got.List.Encode())
		if err != nil || !slices.Equal(revoked(again), revoked(got.List)) {
			t.Errorf("%s: the list changes when it is encoded: %v", payload, err)
		}
	})
}

// signed returns any header and payload, signed with the secret of these tests.
func signed(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

func decoded(f *testing.F, part string) string {
	f.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	return string(must(f, text, err))
}
