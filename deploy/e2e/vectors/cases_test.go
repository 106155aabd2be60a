package vectors_test

import (
	"strings"
	"testing"
)

// ok returns the case of an access token that is accepted.
func ok(name, keys, token string, claims *claims) testCase {
	return testCase{
		Name: name, Now: now, Keys: keys, List: "good", Scopes: []string{"items:read"},
		Authorization: []string{"Bearer " + token}, Want: want{Status: 200, Claims: claims},
	}
}

// refused returns the case of an access token that is refused.
func refused(name, reason, keys, token string) testCase {
	return testCase{
		Name: name, Now: now, Keys: keys, List: "good", Scopes: []string{"items:read"},
		Authorization: []string{"Bearer " + token}, Want: want{Status: 401, Reason: reason},
	}
}

// usual returns the claims of an access token, with changed ones.
func usual(change func(*claims)) *claims {
	c := &claims{
		Issuer: issuer, Subject: "usr_1", Audience: []string{audience}, ClientID: "web", ID: "token 1",
		IssuedAt: now - 60, ExpiresAt: now + 1740, Scope: []string{"profile", "items:read"},
		Username: "john.doe", Name: "John Doe", Groups: []string{}, Actors: []string{}, Methods: []string{}, IsUser: true,
		Status: &reference{1, listURI},
	}
	if change != nil {
		change(c)
	}
	return c
}

// validCases returns tokens that are accepted.
func validCases(t *testing.T) []testCase {
	t.Helper()
	text := textKey(t)
	textToken := jws(t, text, toJSON(t, object{"alg": "HS256", "kid": text.KeyID, "typ": "at+jwt"}), payload(t, nil))
	service := object{
		"sub": "worker", "client_id": "worker", "preferred_username": nil, "name": nil, "scope": "items:read",
	}
	return []testCase{
		ok("EdDSA", "published", accessToken(t, "ed", nil, nil), usual(nil)),
		ok("ES256, by a key that will sign later", "published", accessToken(t, "es", nil, nil), usual(nil)),
		ok("RS256", "published", accessToken(t, "rs", nil, nil), usual(nil)),
		ok("EdDSA, beside keys that no API can use", "others", accessToken(t, "ed", nil, nil), usual(nil)),
		ok("HS256, by a keys file", "file", accessToken(t, "hs", nil, nil), usual(nil)).withList("good, HS256"),
		ok("EdDSA, by a keys file", "file", accessToken(t, "ed", nil, nil), usual(nil)),
		ok("HS256, by the API's own secret", "own file", accessToken(t, "hs-own", nil, nil), usual(nil)).
			withList("good, own secret"),
		ok("HS256, by a secret as text", "secret", textToken, usual(nil)).withList("good, secret as text"),

		ok("token of a client", "published", accessToken(t, "ed", nil, service), usual(func(c *claims) {
			c.Subject, c.ClientID, c.Username, c.Name, c.IsUser = "worker", "worker", "", "", false
			c.Scope = []string{"items:read"}
		})),
		ok("groups", "published", accessToken(t, "ed", nil, object{"groups": []string{"admins", "staff"}}),
			usual(func(c *claims) { c.Groups = []string{"admins", "staff"} })),
		ok("exchanged twice (RFC 8693)", "published",
			accessToken(t, "ed", nil, object{"act": object{"sub": "gateway", "act": object{"sub": "front"}}}),
			usual(func(c *claims) { c.Actors = []string{"gateway", "front"} })),
		ok("several audiences", "published", accessToken(t, "ed", nil, object{"aud": []string{billing, audience}}),
			usual(func(c *claims) { c.Audience = []string{billing, audience} })),
		ok("audience as text", "published", accessToken(t, "ed", nil, object{"aud": audience}), usual(nil)),
		ok("claims that nobody knows", "published",
			accessToken(t, "ed", nil, object{"x": []any{1, nil}, "AUD": 7, "Exp": 1}), usual(nil)),
		ok("spaces in the scope, and a repetition", "published",
			accessToken(t, "ed", nil, object{"scope": " items:read  profile items:read "}),
			usual(func(c *claims) { c.Scope = []string{"items:read", "profile"} })),
		ok("letters outside ASCII", "published", accessToken(t, "ed", nil, object{"name": "Jürgen <O'Neil> 李"}),
			usual(func(c *claims) { c.Name = "Jürgen <O'Neil> 李" })),
		ok("typ as media type", "published", accessToken(t, "ed", object{"typ": "application/at+jwt"}, nil), usual(nil)),
		ok("typ in upper case", "published", accessToken(t, "ed", object{"typ": "AT+JWT"}, nil), usual(nil)),
		ok("header that names other keys", "published",
			accessToken(t, "ed", object{"jku": "https://attacker.example/jwks.json", "jwk": jwk(t, "stranger", nil)}, nil), usual(nil)),
		ok("list of an epoch", "published", accessToken(t, "ed", nil, object{"status": status(1, epochURI)}),
			usual(func(c *claims) { c.Status.URI = epochURI })).withList("epoch"),
	}
}

func (c testCase) withList(name string) testCase { c.List = name; return c }
func (c testCase) withNow(now int64) testCase    { c.Now = now; return c }

// requestCases returns requests with other credentials than one good token, and tokens that lack something.
func requestCases(t *testing.T) []testCase {
	t.Helper()
	good := accessToken(t, "ed", nil, nil)
	bearer := "Bearer " + good
	service := accessToken(t, "ed", nil, object{"sub": "worker", "client_id": "worker"})
	request := func(name, reason string, status int, query string, authorization ...string) testCase {
		c := refused(name, reason, "published", "")
		c.Query, c.Authorization, c.Want.Status = query, append([]string{}, authorization...), status
		if status == 200 {
			c.Want.Claims = usual(nil)
		}
		return c
	}
	scopes := func(c testCase, scopes ...string) testCase { c.Scopes = append([]string{}, scopes...); return c }
	includes := func(c testCase, includes map[string][]string) testCase { c.ScopeIncludes = includes; return c }
	user := func(c testCase) testCase { c.User = true; return c }
	writer := accessToken(t, "ed", nil, object{"scope": "items:admin"})
	writes := map[string][]string{"items:admin": {"items:write"}, "items:write": {"items:read"}}
	lacks := func(name, token string) testCase {
		c := refused(name, "insufficient_scope", "published", token)
		c.Want.Status = 403
		return c
	}
	return []testCase{
		request("scheme in lower case", "", 200, "", "bearer "+good),
		request("scheme in mixed case", "", 200, "", "bEaReR "+good),
		request("several spaces (RFC 9110 section 11.4)", "", 200, "", "Bearer   "+good),
		request("query without a token", "", 200, "page=2&token=x", bearer),
		scopes(ok("no scope is needed", "published", good, usual(nil))),
		user(ok("user", "published", good, usual(nil))),
		scopes(ok("two scopes", "published", good, usual(nil)), "items:read", "profile"),
		includes(ok("scope that is included by another one's", "published", writer,
			usual(func(c *claims) { c.Scope = []string{"items:admin"} })), writes),

		request("no header", "no_token", 401, ""),
		request("empty header", "no_token", 401, "", ""),
		request("another scheme", "no_token", 401, "", "Basic am9obi5kb2U6cHc="),
		request("scheme that begins like Bearer", "no_token", 401, "", "BearerX "+good),
		request("token without a scheme", "no_token", 401, "", good),
		request("token in the query only", "no_token", 401, "access_token="+good),
		request("token in the query, another scheme", "no_token", 401, "access_token="+good, "Basic eA=="),
		scopes(request("no header, and no scope is needed", "no_token", 401, "")),
		scopes(request("no header, two scopes", "no_token", 401, ""), "items:read", "items:write"),

		request("token in query and header", "two_tokens", 400, "access_token="+good, bearer),
		request("empty token in the query", "two_tokens", 400, "access_token=", bearer),
		request("token in the query, escaped name", "two_tokens", 400, "a=1&acces%73_token=x", bearer),
		request("two headers", "two_tokens", 400, "", bearer, bearer),
		request("two headers, two schemes", "two_tokens", 400, "", "Basic eA==", bearer),

		request("Bearer without a token", "malformed", 401, "", "Bearer"),
		request("Bearer with an empty token", "malformed", 401, "", "Bearer "),
		request("two tokens in one header", "malformed", 401, "", bearer+", "+bearer),
		request("parameter after the token", "malformed", 401, "", bearer+" x"),
		user(refused("token of a client, where a user is needed", "not_a_user", "published", service)),

		scopes(lacks("scope is missing", good), "items:write"),
		scopes(lacks("one of two scopes is missing", good), "items:read", "items:write"),
		scopes(lacks("scope that a token's scope begins with", good), "items"),
		lacks("token without a scope", accessToken(t, "ed", nil, object{"scope": nil})),
		scopes(includes(lacks("scope that only others include", good), writes), "items:write"),
	}
}

// headerCases returns tokens whose form, header or signature is wrong.
func headerCases(t *testing.T) []testCase {
	t.Helper()
	good := accessToken(t, "ed", nil, nil)
	parts := strings.Split(good, ".")
	ed, text := signingKey(t, "ed"), payload(t, nil)
	no := func(name, reason, token string) testCase { return refused(name, reason, "published", token) }
	raw := func(header string) string { return jws(t, ed, []byte(header), text) }
	changed := func(members object) string { return accessToken(t, "ed", members, nil) }
	confused := signingKey(t, "hs")
	confused.Key = toJSON(t, jwk(t, "rs", nil))
	return []testCase{
		no("text", "malformed", "hunter2"),
		no("two parts", "malformed", parts[0]+"."+parts[1]),
		no("four parts", "malformed", good+".AAAA"),
		no("encrypted (five parts)", "malformed", good+".AAAA.AAAA"),
		no("no signature", "malformed", parts[0]+"."+parts[1]+"."),
		no("padding", "malformed", good+"=="),
		no("a character outside base64url", "malformed", parts[0]+"."+parts[1]+".!"+parts[2][1:]),
		no("bits after the end of base64url", "malformed", withUnusedBit(good)),
		no("longer than 8192 bytes", "too_long", accessToken(t, "ed", nil, object{"name": strings.Repeat("n", 6000)})),

		no("header is not JSON", "bad_header", raw("header")),
		no("header is a list", "bad_header", raw("[]")),
		no("header is cut", "bad_header", raw(`{"alg":"EdDSA","kid":"ed","typ":"at+jwt"`)),
		no("header with a repeated member", "bad_header", raw(`{"alg":"EdDSA","alg":"EdDSA","kid":"ed","typ":"at+jwt"}`)),
		no("header with a kid that is a number", "bad_header", changed(object{"kid": 7})),
		no("header with a typ that is a list", "bad_header", changed(object{"typ": []string{"at+jwt"}})),
		no("header is not UTF-8", "bad_header", raw("{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"at+jwt\",\"x\":\"\xff\"}")),
		no("typ JWT", "wrong_type", changed(object{"typ": "JWT"})),
		no("no typ", "wrong_type", changed(object{"typ": nil})),
		no("typ of a status list", "wrong_type", changed(object{"typ": "statuslist+jwt"})),
		no("crit", "critical_header", changed(object{"crit": []string{"b64"}, "b64": false})),
		no("alg none", "unsupported_algorithm", changed(object{"alg": "none"})),
		no("alg None", "unsupported_algorithm", changed(object{"alg": "None"})),
		no("alg HS512", "unsupported_algorithm", changed(object{"alg": "HS512"})),
		no("no alg", "unsupported_algorithm", changed(object{"alg": nil})),
		no("another alg than the key's", "wrong_algorithm", changed(object{"alg": "ES256"})),
		no("HS256 with the public key as secret", "wrong_algorithm",
			jws(t, confused, header(t, "rs", object{"alg": "HS256"}), text)),

		no("changed claims", "bad_signature",
			parts[0]+"."+base64url(payload(t, object{"sub": "usr_2"}))+"."+parts[2]),
		no("signature of another token", "bad_signature",
			parts[0]+"."+parts[1]+"."+strings.Split(accessToken(t, "ed", nil, object{"sub": "usr_2"}), ".")[2]),
		no("cut signature", "bad_signature", parts[0]+"."+parts[1]+"."+parts[2][:len(parts[2])-2]),
		no("key of a stranger with a known kid", "bad_signature",
			jws(t, signingKey(t, "stranger"), header(t, "ed", nil), text)),
		no("ES256 in DER", "bad_signature", derSigned(t, "es")),
		refused("secret of a stranger with a known kid", "bad_signature", "file",
			jws(t, signingKey(t, "hs-billing"), header(t, "hs", nil), text)),
	}
}

// withUnusedBit returns a token of Ed25519 with one bit set of the four after its last byte.
func withUnusedBit(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last|1])
}

// derSigned returns an access token with a signature in DER, not as the two numbers of RFC 7518 section 3.4.
func derSigned(t *testing.T, id string) string {
	t.Helper()
	signed := base64url(header(t, id, nil)) + "." + base64url(payload(t, nil))
	return signed + "." + base64url(signature(t, signingKey(t, id).Key, signed))
}

// keyCases returns tokens of keys that must not have signed them.
func keyCases(t *testing.T) []testCase {
	t.Helper()
	text := payload(t, nil)
	both := object{"aud": []string{audience, billing}}
	return []testCase{
		refused("unknown kid", "unknown_key", "published", accessToken(t, "stranger", nil, nil)),
		refused("no kid", "unknown_key", "published", accessToken(t, "ed", object{"kid": nil}, nil)),
		refused("key that has ended", "unknown_key", "published", accessToken(t, "ed-ended", nil, nil)),
		ok("key a second before it ends", "published", accessToken(t, "ed-ended", nil, nil), usual(nil)).withNow(now - 1),
		refused("key that is published for encryption", "unknown_key", "others", accessToken(t, "rs", nil, nil)),
		refused("key that is published with an invalid end", "unknown_key", "others",
			accessToken(t, "es", object{"kid": "es-milliseconds"}, nil)),
		refused("key for ID tokens", "unknown_key", "published", accessToken(t, "ed-id-token", nil, nil)),
		refused("key of another API", "key_of_another_api", "published", accessToken(t, "ed-billing", nil, nil)),
		refused("key of another API, for both APIs", "key_of_another_api", "published",
			accessToken(t, "ed-billing", nil, both)),
		refused("secret of this API, for both APIs", "key_of_another_api", "own file", accessToken(t, "hs-own", nil, both)),
		refused("secret that has ended", "unknown_key", "file", accessToken(t, "hs-ended", nil, nil)),
		refused("secret of another API", "unknown_key", "file", accessToken(t, "hs-billing", nil, nil)),
		refused("another secret as text", "unknown_key", "secret", accessToken(t, "hs", nil, nil)),
		refused("kid in another case", "unknown_key", "published",
			jws(t, signingKey(t, "ed"), header(t, "ed", object{"kid": "ED"}), text)),
	}
}
