package vectors_test

import (
	"strings"
	"testing"
)

// claimCases returns tokens with wrong claims.
func claimCases(t *testing.T) []testCase {
	t.Helper()
	no := func(name, reason string, changed object) testCase {
		return refused(name, reason, "published", accessToken(t, "ed", nil, changed))
	}
	raw := func(name, reason, payload string) testCase {
		return refused(name, reason, "published", jws(t, signingKey(t, "ed"), header(t, "ed", nil), []byte(payload)))
	}
	text := string(payload(t, nil))
	cases := []testCase{
		raw("claims are not JSON", "bad_claims", "hunter2"),
		raw("claims are a list", "bad_claims", "["+text+"]"),
		raw("two objects", "bad_claims", text+text),
		raw("repeated claim", "bad_claims", strings.Replace(text, `"sub":`, `"sub":"usr_2","sub":`, 1)),
		raw("repeated claim, escaped", "bad_claims", strings.Replace(text, `"sub":`, `"\u0073ub":"usr_2","sub":`, 1)),
		raw("repeated member of a claim", "bad_claims", strings.Replace(text, `"idx":1`, `"idx":1,"idx":2`, 1)),
		raw("claims are not UTF-8", "bad_claims", strings.Replace(text, "John", "J\xf6hn", 1)),
		raw("half of a surrogate pair", "bad_claims", strings.Replace(text, "John", `J\ud800hn`, 1)),
		raw("NaN", "bad_claims", strings.Replace(text, `"idx":1`, `"idx":NaN`, 1)),

		no("iss is a list", "bad_claims", object{"iss": []string{issuer}}),
		no("sub is a number", "bad_claims", object{"sub": 1}),
		no("aud is an object", "bad_claims", object{"aud": object{"api": audience}}),
		no("aud has a number", "bad_claims", object{"aud": []any{audience, 1}}),
		no("exp is a text", "bad_claims", object{"exp": "tomorrow"}),
		no("exp is true", "bad_claims", object{"exp": true}),
		no("exp is negative", "bad_claims", object{"exp": -1}),
		no("exp is after the year 9999", "bad_claims", object{"exp": 253402300800}),
		no("iat is after the year 9999", "bad_claims", object{"iat": 253402300800}),
		no("nbf is negative", "bad_claims", object{"nbf": -1}),
		no("scope is a list", "bad_claims", object{"scope": []string{"items:read"}}),
		no("scope with a quote", "bad_claims", object{"scope": `items:read "`}),
		no("scope with a letter outside ASCII", "bad_claims", object{"scope": "items:read ä"}),
		no("scope with a line break", "bad_claims", object{"scope": "items:read\nprofile"}),
		no("scope of 1025 bytes", "bad_claims", object{"scope": "items:read " + strings.Repeat("s", 1014)}),
		no("preferred_username is a number", "bad_claims", object{"preferred_username": 1}),
		no("name is an object", "bad_claims", object{"name": object{}}),
		no("groups is a text", "bad_claims", object{"groups": "admins"}),
		no("groups has a number", "bad_claims", object{"groups": []any{"admins", 1}}),
		no("acr is a number", "bad_claims", object{"acr": 2}),
		no("acr is a list", "bad_claims", object{"acr": []string{"2"}}),
		no("amr is a text", "bad_claims", object{"amr": "pwd"}),
		no("amr has a number", "bad_claims", object{"amr": []any{"pwd", 1}}),
		no("auth_time is a text", "bad_claims", object{"auth_time": "now"}),
		no("auth_time is true", "bad_claims", object{"auth_time": true}),
		no("auth_time is negative", "bad_claims", object{"auth_time": -1}),
		no("auth_time is after the year 9999", "bad_claims", object{"auth_time": 253402300800}),
		no("act is a text", "bad_claims", object{"act": "gateway"}),
		no("act without sub", "bad_claims", object{"act": object{}}),
		no("second act without sub", "bad_claims", object{"act": object{"sub": "gateway", "act": object{}}}),

		no("another issuer", "wrong_issuer", object{"iss": "https://login.example.org"}),
		no("issuer with a slash at the end", "wrong_issuer", object{"iss": issuer + "/"}),
		no("another audience", "wrong_audience", object{"aud": []string{billing}}),
		no("audience with a slash at the end", "wrong_audience", object{"aud": audience + "/"}),

		no("no status", "no_status", object{"status": nil}),
		no("status without a list", "no_status", object{"status": object{}}),
		no("status is a text", "bad_claims", object{"status": "valid"}),
		no("status_list is a number", "bad_claims", object{"status": object{"status_list": 1}}),
		no("status without idx", "bad_claims", object{"status": status(nil, listURI)}),
		no("status without uri", "bad_claims", object{"status": status(1, nil)}),
		no("idx is a text", "bad_claims", object{"status": status("1", listURI)}),
		no("idx is true", "bad_claims", object{"status": status(true, listURI)}),
		no("idx has a fraction", "bad_claims", object{"status": status(1.5, listURI)}),
		no("uri is a number", "bad_claims", object{"status": status(1, 1)}),
	}
	for _, name := range []string{"iss", "sub", "aud", "client_id", "jti", "iat", "exp"} {
		cases = append(cases, no("no "+name, "missing_claim", object{name: nil}))
	}
	return append(cases, no("empty sub", "missing_claim", object{"sub": ""}),
		no("empty aud", "missing_claim", object{"aud": []string{}}))
}

// timeCases returns tokens at the ends of their time. Clocks may differ by 5 seconds.
func timeCases(t *testing.T) []testCase {
	t.Helper()
	expires := func(at any) string { return accessToken(t, "ed", nil, object{"exp": at}) }
	begins := func(at any) string { return accessToken(t, "ed", nil, object{"nbf": at}) }
	issued := func(at any) string { return accessToken(t, "ed", nil, object{"iat": at}) }
	expiry := func(at int64) *claims { return usual(func(c *claims) { c.ExpiresAt = at }) }
	return []testCase{
		ok("expired 4 seconds ago", "published", expires(now-4), expiry(now-4)),
		refused("expired 5 seconds ago", "expired", "published", expires(now-5)),
		refused("expired a minute ago", "expired", "published", expires(now-60)),
		ok("exp with a fraction, which is ignored", "published", expires(now-4+0.75), expiry(now-4)),
		refused("exp with a fraction, expired", "expired", "published", expires(now-5+0.75)),
		refused("exp 0", "expired", "published", expires(0)),
		ok("exp in the year 9999", "published", expires(253402300799), expiry(253402300799)),

		ok("nbf in 5 seconds", "published", begins(now+5), usual(nil)),
		refused("nbf in 6 seconds", "not_yet_valid", "published", begins(now+6)),
		ok("iat in an hour", "published", issued(now+3600), usual(func(c *claims) { c.IssuedAt = now + 3600 })),
		refused("iat in more than an hour", "issued_in_future", "published", issued(now+3601)),

		ok("clock a minute behind", "published", accessToken(t, "ed", nil, nil), usual(nil)).withNow(now - 120),
		ok("clock a minute ahead", "published", accessToken(t, "ed", nil, nil), usual(nil)).withNow(now + 60),
		refused("clock a minute ahead, when the token has just expired for it", "expired", "published",
			expires(now+10)).withNow(now + 60),
	}
}
