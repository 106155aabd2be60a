package token_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/token"
)

// badToken is one way in which a token is not to be accepted. In all else it is
// the good token that the test starts from.
type badToken struct {
	line string // of the checklist, or the section of the RFC
	name string
	raw  string
}

func badHeaders(t testing.TB) []badToken {
	h, p := goodHeader(), goodPayload()
	unsigned := segment(t, h.with("alg", "none")) + "." + segment(t, p) + "."
	return []badToken{
		{"CHECKLIST 45", "alg none, signed", minted(t, h.with("alg", "none"), p)},
		{"CHECKLIST 45", "alg none, empty signature", unsigned},
		{"CHECKLIST 45", "alg none, signature of one zero byte", unsigned + "AA"},
		{"CHECKLIST 45", "alg NONE", minted(t, h.with("alg", "NONE"), p)},
		{"CHECKLIST 45", "no alg", minted(t, h.without("alg"), p)},
		{"CHECKLIST 45", "alg that is a list", minted(t, h.with("alg", []string{"HS256"}), p)},
		{"CHECKLIST 45", "alg in lower case", minted(t, h.with("alg", "hs256"), p)},
		{"CHECKLIST 45", "HS512 with the same secret", mint(t, h.with("alg", "HS512"), p, sha512.New, secret)},
		{"CHECKLIST 45", "HS384 with the same secret", mint(t, h.with("alg", "HS384"), p, sha512.New384, secret)},
		{"CHECKLIST 45", "RS256 header, secret as the key of an HMAC", minted(t, h.with("alg", "RS256"), p)},
		{"CHECKLIST 45", "ES256 header", minted(t, h.with("alg", "ES256"), p)},
		{"CHECKLIST 45", "HS256 header, signed with SHA-512", mint(t, h, p, sha512.New, secret)},
		{"CHECKLIST 46", "typ JWT", minted(t, h.with("typ", "JWT"), p)},
		{"CHECKLIST 46", "typ of an id token", minted(t, h.with("typ", "id+jwt"), p)},
		{"CHECKLIST 46", "typ of a status list", minted(t, h.with("typ", "statuslist+jwt"), p)},
		{"CHECKLIST 46", "typ text/at+jwt", minted(t, h.with("typ", "text/at+jwt"), p)},
		{"CHECKLIST 46", "typ that is a number", minted(t, h.with("typ", 1), p)},
		{"CHECKLIST 46", "no typ", minted(t, h.without("typ"), p)},
		{"CHECKLIST 51", "kid with a path in it, empty key", mint(t, h.with("kid", "../../../../dev/null"), p, sha256.New, "")},
		{"CHECKLIST 51", "kid with a path to the key", minted(t, h.with("kid", "./k1"), p)},
		{"CHECKLIST 51", "kid with SQL in it", minted(t, h.with("kid", "k1' OR '1'='1"), p)},
		{"CHECKLIST 51", "kid that is a number", minted(t, h.with("kid", 1), p)},
		{"CHECKLIST 51", "kid that is a list", minted(t, h.with("kid", []string{"k1"}), p)},
		{"CHECKLIST 51", "jwk with the attacker's key", mint(t, h.with("jwk", members{"kty": "oct", "kid": "k1", "k": "YXR0YWNrZXI"}), p, sha256.New, "attacker")},
		{"CHECKLIST 54", "unknown kid", minted(t, h.with("kid", "k2"), p)},
		{"CHECKLIST 54", "kid in another letter case", minted(t, h.with("kid", "K1"), p)},
		{"CHECKLIST 54", "no kid", minted(t, h.without("kid"), p)},
		{"CHECKLIST 54", "empty kid", minted(t, h.with("kid", ""), p)},
		{"RFC 7515 §4.1.11", "crit", minted(t, h.with("crit", []string{"exp"}), p)},
		{"RFC 7515 §4.1.11", "crit of RFC 7797", minted(t, h.with("crit", []string{"b64"}).with("b64", true), p)},
		{"RFC 7515 §4.1.11", "empty crit", minted(t, h.with("crit", []string{}), p)},
		{"RFC 7515 §4.1.11", "crit null", minted(t, h.with("crit", nil), p)},
	}
}

func badPayloads(t testing.TB) []badToken {
	h, p := goodHeader(), goodPayload()
	past, future := start.Add(-5*time.Second).Unix(), start.Add(6*time.Second).Unix()
	bad := []badToken{
		{"CHECKLIST 47", "iss of somebody else", minted(t, h, p.with("iss", "https://evil.example"))},
		{"CHECKLIST 47", "iss with a slash more", minted(t, h, p.with("iss", issuer+"/"))},
		{"CHECKLIST 47", "iss in another letter case", minted(t, h, p.with("iss", strings.ToUpper(issuer)))},
		{"CHECKLIST 47", "iss that is a list", minted(t, h, p.with("iss", []string{issuer}))},
		{"CHECKLIST 48", "aud of another API", minted(t, h, p.with("aud", "https://other.example"))},
		{"CHECKLIST 48", "aud with ours as a prefix", minted(t, h, p.with("aud", audience+".evil.example"))},
		{"CHECKLIST 48", "empty aud", minted(t, h, p.with("aud", ""))},
		{"CHECKLIST 48", "aud of no API", minted(t, h, p.with("aud", []string{}))},
		{"CHECKLIST 48", "aud with ours as the name of a member", minted(t, h, p.with("aud", members{audience: true}))},
		{"CHECKLIST 50", "expired", minted(t, h, p.with("exp", past))},
		{"CHECKLIST 50", "expired in 1970", minted(t, h, p.with("exp", 0))},
		{"CHECKLIST 50", "exp that is a text", minted(t, h, p.with("exp", "tomorrow"))},
		{"CHECKLIST 50", "exp null", minted(t, h, p.with("exp", nil))},
		{"RFC 7519 §4.1.5", "nbf in the future", minted(t, h, p.with("nbf", future))},
		{"RFC 6749 §3.3", "scope with a quote", minted(t, h, p.with("scope", `items:read "admin"`))},
		{"RFC 6749 §3.3", "scope with a line break", minted(t, h, p.with("scope", "items:read\nadmin"))},
		{"RFC 6749 §3.3", "scope that is a list", minted(t, h, p.with("scope", []string{"items:read"}))},
		{"CHECKLIST 52", "10 KiB, well signed", minted(t, h, p.with("name", strings.Repeat("x", 10<<10)))},
	}
	for _, claim := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		bad = append(bad,
			badToken{"CHECKLIST 49", "no " + claim, minted(t, h, p.without(claim))},
			badToken{"CHECKLIST 49", "null as " + claim, minted(t, h, p.with(claim, nil))})
	}
	return bad
}

func badForms(t testing.TB) []badToken {
	good := minted(t, goodHeader(), goodPayload())
	parts := strings.Split(good, ".")
	middle := len(parts[0]) + len(parts[1])/2
	tampered := segment(t, goodPayload().with("sub", "usr_2"))
	forms := []string{
		"empty", "",
		"one dot", ".",
		"two dots", "..",
		"ten dots", "..........",
		"10 KiB of one letter", strings.Repeat("a", 10<<10),
		"10 KiB of dots", strings.Repeat(".", 10<<10),
		"header only", parts[0],
		"no signature", parts[0] + "." + parts[1],
		"empty signature", parts[0] + "." + parts[1] + ".",
		"empty payload", parts[0] + ".." + parts[2],
		"empty header", "." + parts[1] + "." + parts[2],
		"last character missing", good[:len(good)-1],
		"first character missing", good[1:],
		"cut in the middle", good[:middle],
		"a fourth part", good + ".e30",
		"a dot at the end", good + ".",
		"five parts, as in JWE", good + ".e30.e30",
		"flattened JSON serialization", `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"general JSON serialization", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
		"padding after the signature", good + "=",
		"padding after the header", parts[0] + "==." + parts[1] + "." + parts[2],
		"line feed at the end", good + "\n",
		"line feed inside the signature", good[:len(good)-5] + "\n" + good[len(good)-5:],
		"carriage return inside the payload", good[:middle] + "\r\n" + good[middle:],
		"space before", " " + good,
		"NUL at the end", good + "\x00",
		"alphabet of base64, not base64url", parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace("-_"+parts[2][2:]),
		"quoted", `"` + good + `"`,
		"scheme left in front", "Bearer " + good,
		"bits after the end of the signature", good[:len(good)-1] + sameBits(parts[2][42]),
		"another payload under the signature", parts[0] + "." + tampered + "." + parts[2],
		"another header under the signature", segment(t, goodHeader().with("x", 1)) + "." + parts[1] + "." + parts[2],
		"signature of another secret", mint(t, goodHeader(), goodPayload(), sha256.New, secret+"x"),
		"header that is not JSON", "bm90IGpzb24." + parts[1] + "." + parts[2],
		"header null", "bnVsbA." + parts[1] + "." + parts[2],
		"payload null", parts[0] + ".bnVsbA." + signature(parts[0]+".bnVsbA", sha256.New, secret),
		"payload that is a list", parts[0] + ".W10." + signature(parts[0]+".W10", sha256.New, secret),
	}
	var bad []badToken
	for i := 0; i < len(forms); i += 2 {
		bad = append(bad, badToken{"CHECKLIST 52", forms[i], forms[i+1]})
	}
	return bad
}

// sameBits returns another character that a careless decoder reads like c at the
// end of 32 bytes, where only its upper four bits count.
func sameBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func badTokens(t testing.TB) []badToken {
	return append(append(badHeaders(t), badPayloads(t)...), badForms(t)...)
}

// CHECKLIST 44 to 52, 54: each of these is refused for good, whether or not the
// good token it was made from is remembered.
func TestVerifyRefuses(t *testing.T) {
	good := minted(t, goodHeader(), goodPayload())
	warm, cold := verifier(t, nil), verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = -1 })
	for _, bad := range badTokens(t) {
		t.Run(bad.line+" "+bad.name, func(t *testing.T) {
			for _, v := range []*token.Verifier{cold, warm} {
				accepts(t, v, good)
				for range 2 { // a refusal must not be remembered as anything else
					claims, err := v.Verify(t.Context(), bad.raw)
					if !errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrUnavailable) || claims != nil {
						t.Fatalf("Verify gave %v, %v, want ErrInvalid", claims, err)
					}
					holdsNothingOf(t, err, bad.raw)
				}
			}
		})
	}
}

// holdsNothingOf fails the test if the reason quotes the token or what it says.
func holdsNothingOf(t *testing.T, err error, raw string) {
	t.Helper()
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 3 && strings.Contains(err.Error(), part) {
			t.Errorf("the reason holds a part of the token: %v", err)
		}
	}
	for _, said := range []string{"tomorrow", "usr_1", "jti-1", "client-1", "evil", "admin", "../", secret} {
		if strings.Contains(err.Error(), said) {
			t.Errorf("the reason quotes the token: %v", err)
		}
	}
}

// The other side of the table: what is unusual and yet good.
func TestVerifyAccepts(t *testing.T) {
	h, p := goodHeader(), goodPayload()
	future := start.Add(5 * time.Second).Unix()
	for name, raw := range map[string]string{
		"the good token of the table":         minted(t, h, p),
		"RFC 9068 §4: the long typ":           minted(t, h.with("typ", "application/at+jwt"), p),
		"RFC 7515 §4.1.9: typ in capitals":    minted(t, h.with("typ", "AT+JWT"), p),
		"one aud of several":                  minted(t, h, p.with("aud", []string{"https://other.example", audience})),
		"no scope":                            minted(t, h, p.without("scope")),
		"fraction of a second":                minted(t, h, p.with("exp", float64(start.Unix())+60.5)),
		"claims that nobody defined":          minted(t, h, p.with("roles", []string{"admin"})),
		"nbf within the leeway":               minted(t, h, p.with("nbf", future)),
		"CHECKLIST 50: exp within the leeway": minted(t, h, p.with("exp", start.Add(-4*time.Second).Unix())),
	} {
		t.Run(name, func(t *testing.T) { accepts(t, verifier(t, nil), raw) })
	}
}

// CHECKLIST 51: jku, x5u and jwk are ignored: a token that has them is judged by
// our own key, and nothing is fetched.
func TestVerifyIgnoresKeysInTheHeader(t *testing.T) {
	for name, value := range map[string]any{
		"jku": "http://127.0.0.1:1/keys",
		"x5u": "http://127.0.0.1:1/cert",
		"x5c": []string{"MIIB"},
		"jwk": members{"kty": "oct", "k": "YXR0YWNrZXI"},
	} {
		header := goodHeader().with(name, value)
		v := verifier(t, nil)
		accepts(t, v, minted(t, header, goodPayload()))
		if _, err := v.Verify(t.Context(), mint(t, header, goodPayload(), sha256.New, "attacker")); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: a forgery gives %v", name, err)
		}
	}
}

// CHECKLIST 52: the longest token that is looked at has MaxLength bytes.
func TestVerifyLengthLimit(t *testing.T) {
	v, seen := verifier(t, nil), map[int]bool{}
	for _, x := range []string{"", "x"} { // base64 skips lengths: the two headers reach all
		header := goodHeader().with("x", x)
		for n := token.MaxLength/4*3 - 400; n < token.MaxLength/4*3-200; n++ {
			raw := minted(t, header, goodPayload().with("name", strings.Repeat("x", n)))
			_, err := v.Verify(t.Context(), raw)
			if accepted := err == nil; accepted != (len(raw) <= token.MaxLength) {
				t.Fatalf("a token of %d bytes: %v", len(raw), err)
			}
			seen[len(raw)] = true
		}
	}
	if !seen[token.MaxLength] || !seen[token.MaxLength+1] {
		t.Error("the two lengths around the limit were not tried")
	}
}

// CHECKLIST 50: exp enforced, with the leeway that was configured.
func TestVerifyLeeway(t *testing.T) {
	tests := []struct{ configured, want time.Duration }{
		{0, token.DefaultLeeway}, {-1, 0}, {time.Minute, time.Minute},
	}
	for _, tt := range tests {
		now := newClock()
		cold := verifier(t, func(cfg *token.VerifierConfig) { cfg.Leeway, cfg.Now, cfg.CacheSize = tt.configured, now.Now, -1 })
		c := goodClaims()
		c.NotBefore, c.ExpiresAt = start.Add(time.Hour), start.Add(2*time.Hour)
		raw := sign(t, goodRing(t), c)
		for at, want := range map[time.Time]bool{
			c.NotBefore.Add(-tt.want - 1): false,
			c.NotBefore.Add(-tt.want):     true,
			c.ExpiresAt.Add(tt.want - 1):  true,
			c.ExpiresAt.Add(tt.want):      false,
		} {
			now.set(at)
			if _, err := cold.Verify(t.Context(), raw); (err == nil) != want {
				t.Errorf("leeway %v, %v from exp: %v", tt.configured, at.Sub(c.ExpiresAt), err)
			}
		}
	}
}

// CHECKLIST 53: aud distinct per API: a token for one is refused by the other.
func TestVerifyKeepsAPIsApart(t *testing.T) {
	other := verifier(t, func(cfg *token.VerifierConfig) { cfg.Audience = "https://other.example" })
	raw := sign(t, goodRing(t), goodClaims())
	accepts(t, verifier(t, nil), raw)
	if _, err := other.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token for another API: %v", err)
	}
}

// CHECKLIST 54: during a rotation the tokens of both keys are accepted.
func TestVerifyAcceptsOverlappingKeys(t *testing.T) {
	ring := ringOf(t, jwk("k1", secret), jwk("k2", secret+"2", `"nbf":`+seconds(time.Hour)))
	v := verifier(t, func(cfg *token.VerifierConfig) { cfg.Keys = ring })
	accepts(t, v, minted(t, goodHeader(), goodPayload()))
	accepts(t, v, mint(t, goodHeader().with("kid", "k2"), goodPayload(), sha256.New, secret+"2"))
	for kid, wrong := range map[string]string{"k1": secret + "2", "k2": secret} {
		raw := mint(t, goodHeader().with("kid", kid), goodPayload(), sha256.New, wrong)
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s with the other key's secret: %v", kid, err)
		}
	}
}

func TestNewVerifierNamesWhatIsMissing(t *testing.T) {
	for field, remove := range map[string]func(*token.VerifierConfig){
		"Keys":     func(cfg *token.VerifierConfig) { cfg.Keys = nil },
		"Issuer":   func(cfg *token.VerifierConfig) { cfg.Issuer = "" },
		"Audience": func(cfg *token.VerifierConfig) { cfg.Audience = "" },
	} {
		cfg := token.VerifierConfig{Keys: goodRing(t), Issuer: issuer, Audience: audience}
		remove(&cfg)
		if v, err := token.NewVerifier(cfg); v != nil || err == nil || !strings.Contains(err.Error(), "VerifierConfig."+field+" ") {
			t.Errorf("without %s: %v, %v", field, v, err)
		}
	}
	v := verifier(t, nil)
	if v.Issuer() != issuer || v.Audience() != audience {
		t.Errorf("the verifier is for %q at %q", v.Audience(), v.Issuer())
	}
}
