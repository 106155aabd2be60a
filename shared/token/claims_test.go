package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// mintText signs a payload as it is written.
func mintText(t *testing.T, payload string) string {
	t.Helper()
	input := segment(t, goodHeader()) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + signature(input, sha256.New, secret)
}

// payloadText returns the payload of a valid token with additional members, and without those that are
// named.
func payloadText(t *testing.T, more string, without ...string) string {
	t.Helper()
	p := goodPayload()
	for _, name := range without {
		p = p.without(name)
	}
	text := decoded(t, "."+segment(t, p), 1)
	return strings.TrimSuffix(text, "}") + more + "}"
}

// Claim names are case-sensitive (RFC 7519 section 10.1.1): a member spelled otherwise is another claim,
// which is ignored. It neither replaces a claim nor stands in for a missing one.
func TestClaimNamesAreCaseSensitive(t *testing.T) {
	v := verifier(t, nil)
	got := accepts(t, v, mintText(t, payloadText(t,
		`,"SUB":"usr_2","Scope":"admin","AUD":"https://other.example","EXP":1,"Preferred_Username":"root"`)))
	if got.Subject != "usr_1" || got.Scope.Has("admin") || got.Username != "" || !got.ExpiresAt.After(start) {
		t.Errorf("claims %+v", got)
	}
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti", "iat", "exp"} {
		value := `"` + audience + `"`
		if name == "exp" || name == "iat" {
			value = seconds(time.Hour)
		}
		more := `,"` + strings.ToUpper(name) + `":` + value
		if _, err := v.Verify(t.Context(), mintText(t, payloadText(t, more, name))); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s instead of %s: %v", strings.ToUpper(name), name, err)
		}
	}
}

// Claims that are repeated are refused, since programs differ in which one counts (RFC 7519 section 4).
func TestRepeatedClaims(t *testing.T) {
	v := verifier(t, nil)
	for _, more := range []string{
		`,"sub":"usr_2"`, `,"s\u0075b":"usr_2"`, `,"aud":"` + audience + `"`, `,"scope":"admin"`, `,"x":1,"x":1`,
		`,"status":{"status_list":{"idx":1,"uri":"u","idx":2}}`,
	} {
		_, err := v.Verify(t.Context(), mintText(t, payloadText(t, more)))
		if !errors.Is(err, token.ErrInvalid) || !strings.Contains(err.Error(), "repeated") {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// No time binds or frees beyond the calendar: numbers that overflow a time would move it to the past.
func TestImplausibleTimes(t *testing.T) {
	v := verifier(t, nil)
	for _, name := range []string{"exp", "nbf", "iat"} {
		for _, value := range []string{
			"1e300", "1e400", "-1e300", "9223372036854775807", "9300000000000000000", "1800000000000", "253402300800", "-1",
		} {
			_, err := v.Verify(t.Context(), mintText(t, payloadText(t, `,"`+name+`":`+value, name)))
			if !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%s %s: %v", name, value, err)
			}
		}
	}
	accepts(t, v, mintText(t, payloadText(t, `,"nbf":0,"exp":253402300799`, "exp")))
}

// A token from a clock that is ahead is accepted, unless it is so far ahead that the token would stay valid
// much longer than meant.
func TestIssuedInTheFuture(t *testing.T) {
	v := verifier(t, nil)
	for ahead, want := range map[time.Duration]bool{
		time.Second: true, time.Minute: true, time.Hour: true, time.Hour + time.Second: false, 365 * 24 * time.Hour: false,
	} {
		p := goodPayload().with("iat", start.Add(ahead).Unix()).with("exp", start.Add(ahead+time.Hour).Unix())
		if _, err := v.Verify(t.Context(), minted(t, goodHeader(), p)); (err == nil) != want {
			t.Errorf("%v ahead: %v", ahead, err)
		}
	}
}

// The audience may be repeated (RFC 7519 section 4.1.3): it still names one API. With a key that is bound to an
// API, aud must be exactly that one.
func TestRepeatedAudience(t *testing.T) {
	twice := minted(t, goodHeader(), goodPayload().with("aud", []string{audience, audience}))
	accepts(t, verifier(t, nil), twice)
	bound := verifier(t, func(cfg *token.VerifierConfig) {
		cfg.Keys = ringOf(t, jwk("k1", secret, `"aud":"`+audience+`"`))
	})
	if _, err := bound.Verify(t.Context(), twice); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a bound key: %v", err)
	}
}

// The claim act names each actor by sub, the latest first (RFC 8693 section 4.1). Other members of it say nothing
// here.
func TestActors(t *testing.T) {
	v := verifier(t, nil)
	for act, want := range map[string][]string{
		`{"sub":"orders"}`:                                {"orders"},
		`{"sub":"billing","act":{"sub":"orders"}}`:        {"billing", "orders"},
		`{"sub":"orders","iss":"https://issuer.example"}`: {"orders"},
		`null`: nil,
		`{"sub":"a","act":{"sub":"b","act":{"sub":"c"}}}`: {"a", "b", "c"},
	} {
		claims := accepts(t, v, mintText(t, payloadText(t, `,"act":`+act)))
		if diff := cmp.Diff(want, claims.Actors); diff != "" {
			t.Errorf("%s: actors (-want +got):\n%s", act, diff)
		}
	}
	for _, act := range []string{
		`{}`, `{"sub":""}`, `{"SUB":"orders"}`, `{"sub":"a","act":{}}`, `"orders"`, `["orders"]`, `{"sub":1}`,
	} {
		if _, err := v.Verify(t.Context(), mintText(t, payloadText(t, `,"act":`+act))); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", act, err)
		}
	}
}

// A reference to a status list has an index and a list (draft-ietf-oauth-status-list section 6.2). An
// index that is left out is not 0, and a token without a reference is refused by RequireStatus.
func TestStatusReference(t *testing.T) {
	lax := verifier(t, nil)
	strict := verifier(t, func(cfg *token.VerifierConfig) { cfg.RequireStatus = true })
	for status, want := range map[string][2]bool{ // whether lax and strict accept it
		`{"status_list":{"idx":7,"uri":"u"}}`:              {true, true},
		`{"status_list":{"idx":0,"uri":"u"}}`:              {true, true},
		`{"status_list":{"uri":"u"}}`:                      {false, false},
		`{"status_list":{"idx":null,"uri":"u"}}`:           {false, false},
		`{"status_list":{"idx":7}}`:                        {false, false},
		`{"status_list":{}}`:                               {false, false},
		`{"status_list":{"IDX":7,"URI":"u"}}`:              {false, false},
		`{"status_list":{"idx":"7","uri":"u"}}`:            {false, false},
		`{"status_list":{"idx":7.5,"uri":"u"}}`:            {false, false},
		`{"status_list":{"idx":99999999999999999999999}}`:  {false, false},
		`{"status_list":null}`:                             {true, false},
		`{"Status_List":{"idx":7,"uri":"u"}}`:              {true, false},
		`{"status_assertion":{"credential_hash_alg":"x"}}`: {true, false},
		`{}`:   {true, false},
		`null`: {true, false},
		`[]`:   {false, false},
	} {
		raw := mintText(t, payloadText(t, `,"status":`+status))
		for i, v := range []*token.Verifier{lax, strict} {
			if _, err := v.Verify(t.Context(), raw); (err == nil) != want[i] {
				t.Errorf("%s, required %v: %v", status, i == 1, err)
			}
		}
	}
	for i, v := range []*token.Verifier{lax, strict} {
		if _, err := v.Verify(t.Context(), minted(t, goodHeader(), goodPayload())); (err == nil) != (i == 0) {
			t.Errorf("no status, required %v: %v", i == 1, err)
		}
	}
}

// A user stands behind a token whose subject has the prefix of users.
func TestIsUser(t *testing.T) {
	for subject, want := range map[string]bool{
		"usr_1": true, "cli_1": false, "USR_1": false, "": false, "x usr_1": false,
	} {
		if got := (&token.Claims{Subject: subject, Username: "john.doe"}).IsUser(); got != want {
			t.Errorf("%q: %v", subject, got)
		}
	}
}

// What Sign signs, every Verifier accepts: claims that none would accept are an error.
func TestSignRefusesWhatNoVerifierAccepts(t *testing.T) {
	long := make(oauth.Scope, 200)
	for i := range long {
		long[i] = "scope:" + strconv.Itoa(i)
	}
	for name, change := range map[string]func(*token.Claims){
		"scope of more than 1024 bytes": func(c *token.Claims) { c.Scope = long },
		"scope with a quote":            func(c *token.Claims) { c.Scope = oauth.Scope{`a"b`} },
		"longer than MaxLength":         func(c *token.Claims) { c.Name = strings.Repeat("x", token.MaxLength) },
		"exp after the year 9999":       func(c *token.Claims) { c.ExpiresAt = time.Unix(253402300800, 0) },
	} {
		claims := goodClaims()
		change(claims)
		raw, err := (&token.Signer{Keys: goodRing(t), Now: func() time.Time { return start }}).Sign(claims)
		if raw != "" || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
