package vectors_test

import (
	"strings"
	"testing"
)

const (
	listURI  = issuer + "/status-lists/0"
	epochURI = issuer + "/status-lists/7f3a9c/0"

	// draftList is the longest list, of the test vectors of draft-ietf-oauth-status-list.
	draftList = "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA" +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA" +
		"AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)

// revokedIndex is the bit that is 1 in the lists of the vectors.
const revokedIndex = 17

// listOf returns the claims of a signed list with changed ones.
func listOf(t *testing.T, changed object) object {
	t.Helper()
	bytes := make([]byte, 8)
	bytes[revokedIndex/8] = 1 << (revokedIndex % 8)
	return with(changed, object{
		"sub": listURI, "iat": now - 1, "exp": now + 600, "ttl": 1,
		"status_list": object{"bits": 1, "lst": packed(t, bytes)},
	})
}

// signedList returns a list, signed with a key. The members of its header may be changed.
func signedList(t *testing.T, key string, changedHeader, claims object) *string {
	t.Helper()
	head := with(changedHeader, object{"typ": "statuslist+jwt", "kid": key, "alg": algorithm(signingKey(t, key))})
	list := jws(t, signingKey(t, key), toJSON(t, head), toJSON(t, claims))
	return &list
}

// textSignedList returns a list that is signed with the secret that is given as text.
func textSignedList(t *testing.T) *string {
	t.Helper()
	key := textKey(t)
	list := jws(t, key, toJSON(t, object{"typ": "statuslist+jwt", "kid": key.KeyID, "alg": "HS256"}),
		toJSON(t, listOf(t, nil)))
	return &list
}

// lists returns what an authorization server responds with at the address of a list; nil is a 404.
func lists(t *testing.T) map[string]*string {
	t.Helper()
	changed := func(claims object) *string { return signedList(t, "ed", nil, listOf(t, claims)) }
	content := func(bits, lst any) *string { return changed(object{"status_list": object{"bits": bits, "lst": lst}}) }
	forged := signedList(t, "stranger", object{"kid": "ed"}, listOf(t, nil))
	repeated := jws(t, signingKey(t, "ed"), toJSON(t, object{"typ": "statuslist+jwt", "kid": "ed", "alg": "EdDSA"}),
		[]byte(strings.Replace(string(toJSON(t, listOf(t, nil))), `"sub":`, `"sub":"`+listURI+`","sub":`, 1)))
	return map[string]*string{
		"good":                   changed(nil),
		"good, HS256":            signedList(t, "hs", nil, listOf(t, nil)),
		"good, own secret":       signedList(t, "hs-own", nil, listOf(t, nil)),
		"good, secret as text":   textSignedList(t),
		"epoch":                  changed(object{"sub": epochURI}),
		"expired 4 seconds ago":  changed(object{"exp": now - 4}),
		"issued a minute ahead":  changed(object{"iat": now + 60}),
		"without ttl":            changed(object{"ttl": nil}),
		"longest":                content(1, draftList),
		"missing":                nil,
		"empty":                  new(string),
		"stale":                  changed(object{"exp": now - 5}),
		"forged":                 forged,
		"for another list":       changed(object{"sub": issuer + "/status-lists/1"}),
		"key of another API":     signedList(t, "ed-billing", nil, listOf(t, nil)),
		"key that has ended":     signedList(t, "ed-ended", nil, listOf(t, nil)),
		"key for ID tokens":      signedList(t, "ed-id-token", nil, listOf(t, nil)),
		"unknown key":            signedList(t, "stranger", nil, listOf(t, nil)),
		"typ of an access token": signedList(t, "ed", object{"typ": "at+jwt"}, listOf(t, nil)),
		"alg none":               signedList(t, "ed", object{"alg": "none"}, listOf(t, nil)),
		"repeated claim":         &repeated,
		"without iat":            changed(object{"iat": nil}),
		"without exp":            changed(object{"exp": nil}),
		"ttl 0":                  changed(object{"ttl": 0}),
		"ttl is a text":          changed(object{"ttl": "1"}),
		"two bits a token":       content(2, packed(t, make([]byte, 8))),
		"too long":               content(1, packed(t, make([]byte, 1<<17+1))),
		"not ZLIB":               content(1, "bm90IFpMSUI"),
	}
}

// listCases returns tokens that are revoked or whose list is not usable.
func listCases(t *testing.T) []testCase {
	t.Helper()
	at := func(index, uri any) string { return accessToken(t, "ed", nil, object{"status": status(index, uri)}) }
	no := func(name, reason, token string) testCase { return refused(name, reason, "published", token) }
	good := accessToken(t, "ed", nil, nil)
	cases := []testCase{
		no("revoked", "revoked", at(revokedIndex, listURI)),
		no("revoked, with the longest list", "revoked", at(1000345, listURI)).withList("longest"),
		no("index after the end of the list", "no_such_index", at(64, listURI)),
		no("index -1", "no_such_index", at(-1, listURI)),
		no("index of 63 bits", "no_such_index", at(int64(1)<<62, listURI)),
		no("list of a stranger", "foreign_list", at(1, "https://attacker.example/status-lists/0")),
		no("list of a host that begins like the issuer", "foreign_list", at(1, issuer+".attacker.example/status-lists/0")),
		no("list at another path", "foreign_list", at(1, issuer+"/lists/0")),
		no("all lists", "foreign_list", at(1, issuer+"/status-lists")),
		no("list without a name", "foreign_list", at(1, issuer+"/status-lists/")),
		no("list outside the lists", "foreign_list", at(1, issuer+"/status-lists/../0")),
		no("list with a query", "foreign_list", at(1, listURI+"?x")),
		no("list with an escape", "foreign_list", at(1, issuer+"/status-lists/%2e%2e/0")),
		no("empty uri", "foreign_list", at(1, "")),
	}
	for _, name := range []string{"expired 4 seconds ago", "issued a minute ahead", "without ttl"} {
		cases = append(cases, ok("list "+name, "published", good, usual(nil)).withList(name))
	}
	for _, name := range []string{
		"missing", "empty", "stale", "forged", "for another list", "key of another API", "key that has ended",
		"key for ID tokens", "unknown key", "typ of an access token", "alg none", "repeated claim", "without iat",
		"without exp", "ttl 0", "ttl is a text", "two bits a token", "too long", "not ZLIB",
	} {
		c := no("list: "+name, "list_unavailable", good).withList(name)
		c.Want.Status = 503
		cases = append(cases, c)
	}
	return cases
}
