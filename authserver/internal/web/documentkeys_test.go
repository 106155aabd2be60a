package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// A client of a metadata document authenticates by the keys that the document has or names now, not by those of the
// last consent (RFC 7591 section 2, jwks and jwks_uri): a key that has leaked ends when the cached document does.
func TestKeysInDocument(t *testing.T) {
	t.Parallel()
	d := newDocumentSite(t, "all")
	d.addCodeApp()
	first, second := newSigner(t, jose.ES256, "1"), newSigner(t, jose.ES256, "2")
	const redirect = "http://localhost:4711/cb"
	publish := func(method, keys string) {
		d.document = func(id string) any {
			return map[string]any{
				"client_id": id, "client_name": "Agent", "redirect_uris": []string{redirect},
				"token_endpoint_auth_method": method, "jwks": json.RawMessage(keys),
			}
		}
	}
	id := d.base + "/client.json"
	send := func(key *signer, form url.Values) answer {
		signed, err := url.ParseQuery(asserted(key.sign(d.ownClaims(id, nil), nil)))
		d.must(err)
		for _, name := range []string{"client_assertion", "client_assertion_type"} {
			form.Set(name, signed.Get(name))
		}
		return d.redeemed(pageForm("/token", form))
	}
	publish("private_key_jwt", jwks(t, first))
	to := d.serve(withCookie(pageForm("/consent", url.Values{
		"continue": {d.query("/client.json", "redirect_uri", redirect).Encode()}, "user": {d.userID(john)},
		"decision": {"allow"},
	}), d.sessionCookie())).header.Get("Location")
	u, err := url.Parse(to)
	d.must(err)
	got := send(first, url.Values{
		"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {redirect},
		"code_verifier": {verifier},
	})
	expect := func(what string, key *signer, want string) {
		t.Helper()
		next := send(key, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.member("refresh_token")}})
		if code := next.member("error"); code != want {
			t.Errorf("%s: %d %q, want %q", what, next.status, code, want)
		}
		if next.status == http.StatusOK {
			got = next
		}
	}
	const refused = "invalid_client"
	expect("the first key", first, "")
	publish("private_key_jwt", jwks(t, second))
	expect("the first key, while the document is cached", first, "")
	d.wait(6 * time.Minute)
	expect("the first key, later", first, refused)
	expect("the second key", second, "")

	publish("none", "null")
	d.wait(6 * time.Minute)
	expect("no keys", second, refused)
	published := d.document
	before := d.log.String()
	d.document = func(string) any { return http.StatusBadGateway }
	d.wait(6 * time.Minute)
	expect("the server of the document is down", second, "temporarily_unavailable")
	if said := strings.TrimPrefix(d.log.String(), before); strings.Contains(said, "client_authentication_failed") {
		t.Errorf("that counts as a failure:\n%s", said)
	}
	d.document = func(string) any { return http.StatusNotFound }
	d.wait(time.Minute)
	expect("no document", second, refused)
	d.document = published
	publish("private_key_jwt", jwks(t, first, second))
	d.wait(time.Minute)
	expect("both keys", first, "")
	expect("both keys", second, "")
}

// A client that was stored with the URL of its keys has those that its document names now.
func TestKeysElsewhere(t *testing.T) {
	t.Parallel()
	s, d := newSiteWithDocuments(t)
	id := d.url + "/client.json"
	old, now := newSigner(t, jose.ES256, "1"), newSigner(t, jose.ES256, "2")
	publish := func(uri string) {
		d.set("/client.json", fmt.Sprintf(`{"client_id":%q,"client_name":"Agent","redirect_uris":["http://localhost/cb"],`+
			`"token_endpoint_auth_method":"private_key_jwt","jwks_uri":%q}`, id, uri))
	}
	d.set("/old.json", jwks(t, old))
	d.set("/new.json", jwks(t, now))
	s.must(s.data.AddUnregistered(t.Context(), client.Client{
		ID: id, Name: "Agent", Source: client.SourceDocument, Scope: oauth.Scope{"profile"},
		Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, RedirectURIs: []string{"http://localhost/cb"},
		SecretDigest: client.NoSecret, Assertion: client.Assertion{JWKSURI: d.url + "/old.json"},
		CreatedAt: s.clock(), LastUsedAt: s.clock(),
	}))
	expect := func(what string, key *signer, want string) {
		t.Helper()
		got := s.post(asserted(key.sign(s.ownClaims(id, nil), nil), "grant_type", "authorization_code", "code", "x",
			"redirect_uri", "http://localhost/cb", "code_verifier", verifier))
		if got.body["error"] != want {
			t.Errorf("%s: %d %v, want %q", what, got.status, got.body["error"], want)
		}
	}
	publish(d.url + "/old.json")
	expect("the key of the document", old, "invalid_grant")
	publish(d.url + "/new.json")
	s.wait(6 * time.Minute)
	expect("the key that the document named before", old, "invalid_client")
	expect("the key that it names now", now, "invalid_grant")
}
