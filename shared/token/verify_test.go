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

// badToken is a token with one defect.
type badToken struct {
	source string // the rule that it breaks
	name   string
	raw    string
}

func badHeaders(t testing.TB) []badToken {
	h, p := goodHeader(), goodPayload()
	unsigned := segment(t, h.with("alg", "none")) + "." + segment(t, p) + "."
	return []badToken{
		{"RFC 8725 section 3.1", "alg none, signed", minted(t, h.with("alg", "none"), p)},
		{"RFC 8725 section 3.1", "alg none, empty signature", unsigned},
		{"RFC 8725 section 3.1", "alg none, signature of one zero byte", unsigned + "AA"},
		{"RFC 8725 section 3.1", "alg NONE", minted(t, h.with("alg", "NONE"), p)},
		{"RFC 8725 section 3.1", "no alg", minted(t, h.without("alg"), p)},
		{"RFC 8725 section 3.1", "alg that is a list", minted(t, h.with("alg", []string{"HS256"}), p)},
		{"RFC 8725 section 3.1", "alg in lower case", minted(t, h.with("alg", "hs256"), p)},
		{"RFC 8725 section 3.1", "HS512 with the same secret", mint(t, h.with("alg", "HS512"), p, sha512.New, secret)},
		{"RFC 8725 section 3.1", "HS384 with the same secret", mint(t, h.with("alg", "HS384"), p, sha512.New384, secret)},
		{"RFC 8725 section 3.1", "RS256 header, secret as the key of an HMAC", minted(t, h.with("alg", "RS256"), p)},
		{"RFC 8725 section 3.1", "ES256 header", minted(t, h.with("alg", "ES256"), p)},
		{"RFC 8725 section 3.1", "HS256 header, signed with SHA-512", mint(t, h, p, sha512.New, secret)},
		{"RFC 9068 section 4", "typ JWT", minted(t, h.with("typ", "JWT"), p)},
		{"RFC 9068 section 4", "typ of an id token", minted(t, h.with("typ", "id+jwt"), p)},
		{"RFC 9068 section 4", "typ of a status list", minted(t, h.with("typ", "statuslist+jwt"), p)},
		{"RFC 9068 section 4", "typ text/at+jwt", minted(t, h.with("typ", "text/at+jwt"), p)},
		{"RFC 9068 section 4", "typ that is a number", minted(t, h.with("typ", 1), p)},
		{"RFC 9068 section 4", "no typ", minted(t, h.without("typ"), p)},
		{"RFC 8725 section 3.10", "kid with a path in it, empty key",
			mint(t, h.with("kid", "../../../../dev/null"), p, sha256.New, "")},
		{"RFC 8725 section 3.10", "kid with a path to the key", minted(t, h.with("kid", "./k1"), p)},
		{"RFC 8725 section 3.10", "kid with SQL in it", minted(t, h.with("kid", "k1' OR '1'='1"), p)},
		{"RFC 8725 section 3.10", "kid that is a number", minted(t, h.with("kid", 1), p)},
		{"RFC 8725 section 3.10", "kid that is a list", minted(t, h.with("kid", []string{"k1"}), p)},
		{"RFC 8725 section 3.10", "jwk with the attacker's key",
			mint(t, h.with("jwk", members{"kty": "oct", "kid": "k1", "k": "YXR0YWNrZXI"}), p, sha256.New, "attacker")},
		{"RFC 7515 section 4.1.4", "unknown kid", minted(t, h.with("kid", "k2"), p)},
		{"RFC 7515 section 4.1.4", "kid in another letter case", minted(t, h.with("kid", "K1"), p)},
		{"RFC 7515 section 4.1.4", "no kid", minted(t, h.without("kid"), p)},
		{"RFC 7515 section 4.1.4", "empty kid", minted(t, h.with("kid", ""), p)},
		{"RFC 7515 section 4.1.11", "crit", minted(t, h.with("crit", []string{"exp"}), p)},
		{"RFC 7515 section 4.1.11", "crit of RFC 7797", minted(t, h.with("crit", []string{"b64"}).with("b64", true), p)},
		{"RFC 7515 section 4.1.11", "empty crit", minted(t, h.with("crit", []string{}), p)},
		{"RFC 7515 section 4.1.11", "crit null", minted(t, h.with("crit", nil), p)},
	}
}

func badPayloads(t testing.TB) []badToken {
	h, p := goodHeader(), goodPayload()
	past, future := start.Add(-5*time.Second).Unix(), start.Add(6*time.Second).Unix()
	bad := []badToken{
		{"RFC 7519 section 4.1.1", "another iss", minted(t, h, p.with("iss", "https://evil.example"))},
		{"RFC 7519 section 4.1.1", "iss with another slash", minted(t, h, p.with("iss", issuer+"/"))},
		{"RFC 7519 section 4.1.1", "iss in another letter case", minted(t, h, p.with("iss", strings.ToUpper(issuer)))},
		{"RFC 7519 section 4.1.1", "iss that is a list", minted(t, h, p.with("iss", []string{issuer}))},
		{"RFC 7519 section 4.1.3", "aud of another API", minted(t, h, p.with("aud", "https://other.example"))},
		{"RFC 7519 section 4.1.3", "aud with ours as its prefix", minted(t, h, p.with("aud", audience+".evil.example"))},
		{"RFC 7519 section 4.1.3", "empty aud", minted(t, h, p.with("aud", ""))},
		{"RFC 7519 section 4.1.3", "aud of no API", minted(t, h, p.with("aud", []string{}))},
		{"RFC 7519 section 4.1.3", "aud with ours as the name of a member", minted(t, h, p.with("aud", members{audience: true}))},
		{"RFC 7519 section 4.1.4", "expired", minted(t, h, p.with("exp", past))},
		{"RFC 7519 section 4.1.4", "expired in 1970", minted(t, h, p.with("exp", 0))},
		{"RFC 7519 section 4.1.4", "exp that is a text", minted(t, h, p.with("exp", "tomorrow"))},
		{"RFC 7519 section 4.1.4", "exp null", minted(t, h, p.with("exp", nil))},
		{"RFC 7519 section 4.1.5", "nbf in the future", minted(t, h, p.with("nbf", future))},
		{"RFC 6749 section 3.3", "scope with a quote", minted(t, h, p.with("scope", `items:read "admin"`))},
		{"RFC 6749 section 3.3", "scope with a line break", minted(t, h, p.with("scope", "items:read\nadmin"))},
		{"RFC 6749 section 3.3", "scope that is a list", minted(t, h, p.with("scope", []string{"items:read"}))},
		{"MaxLength", "10 KiB, signed", minted(t, h, p.with("name", strings.Repeat("x", 10<<10)))},
	}
	for _, claim := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} {
		bad = append(bad,
			badToken{"RFC 9068 section 2.2", "no " + claim, minted(t, h, p.without(claim))},
			badToken{"RFC 9068 section 2.2", "null as " + claim, minted(t, h, p.with(claim, nil))})
	}
	return bad
}

func badForms(t testing.TB) []badToken {
	good := minted(t, goodHeader(), goodPayload())
	parts := strings.Split(good, ".")
	middle := len(parts[0]) + len(parts[1])/2
	tampered := segment(t, goodPayload().with("sub", "usr_2"))
	encodings := []string{
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
	for i := 0; i < len(encodings); i += 2 {
		bad = append(bad, badToken{"RFC 7515 section 7.1", encodings[i], encodings[i+1]})
	}
	return bad
}

// sameBits returns another character that a lenient decoder reads like c at the end of 32 bytes, where
// only its upper four bits count.
func sameBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func badTokens(t testing.TB) []badToken {
	return append(append(badHeaders(t), badPayloads(t)...), badForms(t)...)
}

// Each of these tokens is invalid, whether or not the valid token that it was made from is cached.
func TestVerifyRefuses(t *testing.T) {
	good := minted(t, goodHeader(), goodPayload())
	warm, cold := verifier(t, nil), verifier(t, func(cfg *token.VerifierConfig) { cfg.CacheSize = -1 })
	for _, bad := range badTokens(t) {
		t.Run(bad.source+" "+bad.name, func(t *testing.T) {
			for _, v := range []*token.Verifier{cold, warm} {
				accepts(t, v, good)
				for range 2 { // a refusal must not be cached
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

// holdsNothingOf fails the test if the error quotes the token or its claims.
func holdsNothingOf(t *testing.T, err error, raw string) {
	t.Helper()
	for _, part := range strings.Split(raw, ".") {
		if len(part) > 3 && strings.Contains(err.Error(), part) {
			t.Errorf("the error holds a part of the token: %v", err)
		}
	}
	for _, said := range []string{"tomorrow", "usr_1", "jti-1", "client-1", "evil", "admin", "../", secret} {
		if strings.Contains(err.Error(), said) {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
}

// Unusual tokens that are valid.
func TestVerifyAccepts(t *testing.T) {
	h, p := goodHeader(), goodPayload()
	future := start.Add(5 * time.Second).Unix()
	for name, raw := range map[string]string{
		"the valid token of the table":               minted(t, h, p),
		"long typ (RFC 9068 section 4)":              minted(t, h.with("typ", "application/at+jwt"), p),
		"typ in upper case (RFC 7515 section 4.1.9)": minted(t, h.with("typ", "AT+JWT"), p),
		"one aud of several":                         minted(t, h, p.with("aud", []string{"https://other.example", audience})),
		"no scope":                                   minted(t, h, p.without("scope")),
		"fraction of a second":                       minted(t, h, p.with("exp", float64(start.Unix())+60.5)),
		"claims that nobody defined":                 minted(t, h, p.with("roles", []string{"admin"})),
		"nbf within the leeway":                      minted(t, h, p.with("nbf", future)),
		"exp within the leeway":                      minted(t, h, p.with("exp", start.Add(-4*time.Second).Unix())),
	} {
		t.Run(name, func(t *testing.T) { accepts(t, verifier(t, nil), raw) })
	}
}

// jku, x5u and jwk in the header are ignored, and nothing is fetched (RFC 8725 section 3.10).
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
		forged := mint(t, header, goodPayload(), sha256.New, "attacker")
		if _, err := v.Verify(t.Context(), forged); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: a forgery gives %v", name, err)
		}
	}
}

// The longest accepted token has MaxLength bytes.
func TestVerifyLengthLimit(t *testing.T) {
	v, seen := verifier(t, nil), map[int]bool{}
	for _, x := range []string{"", "x"} { // base64 skips some lengths; the two headers together reach all
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

// A token is accepted until exp plus the configured leeway (RFC 7519 section 4.1.4).
func TestVerifyLeeway(t *testing.T) {
	tests := []struct{ configured, want time.Duration }{
		{0, token.DefaultLeeway}, {-1, 0}, {time.Minute, time.Minute},
	}
	for _, tt := range tests {
		now := newClock()
		cold := verifier(t, func(cfg *token.VerifierConfig) {
			cfg.Leeway, cfg.Now, cfg.CacheSize = tt.configured, now.Now,
				-1
		})
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

// A token for one API is refused by another (RFC 9068 section 4).
func TestVerifyRefusesOtherAudiences(t *testing.T) {
	other := verifier(t, func(cfg *token.VerifierConfig) { cfg.Audience = "https://other.example" })
	raw := sign(t, goodRing(t), goodClaims())
	accepts(t, verifier(t, nil), raw)
	if _, err := other.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a token for another API: %v", err)
	}
}

// During a rotation, tokens of both keys are accepted.
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

func TestNewVerifierNamesTheMissingField(t *testing.T) {
	for field, remove := range map[string]func(*token.VerifierConfig){
		"Keys":     func(cfg *token.VerifierConfig) { cfg.Keys = nil },
		"Issuer":   func(cfg *token.VerifierConfig) { cfg.Issuer = "" },
		"Audience": func(cfg *token.VerifierConfig) { cfg.Audience = "" },
	} {
		cfg := token.VerifierConfig{Keys: goodRing(t), Issuer: issuer, Audience: audience}
		remove(&cfg)
		if v, err := token.NewVerifier(cfg); v != nil || err == nil ||
			!strings.Contains(err.Error(), "VerifierConfig."+field+" ") {
			t.Errorf("without %s: %v, %v", field, v, err)
		}
	}
	v := verifier(t, nil)
	if v.Issuer() != issuer || v.Audience() != audience {
		t.Errorf("the verifier is for %q at %q", v.Audience(), v.Issuer())
	}
}
