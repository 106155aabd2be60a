package web_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// The keys at a URL are cached, and fetched again for a kid that is not among them, once a minute.
func TestKeysAtURL(t *testing.T) {
	t.Parallel()
	s, d := newSiteWithDocuments(t)
	first, second := newSigner(t, jose.ES256, "1"), newSigner(t, jose.ES256, "2")
	d.set("/jwks.json", jwks(t, first))
	s.addSigner("signs", client.Assertion{JWKSURI: d.url + "/jwks.json"})
	body := func(key *signer) string { return asserted(key.sign(s.ownClaims("signs", nil), nil)) }
	expectHits := func(what string, want int64) {
		t.Helper()
		if n := d.hits.Load(); n != want {
			t.Errorf("%s: the keys were fetched %d times, want %d", what, n, want)
		}
	}
	for range 3 {
		s.expectOK("first key", s.post(body(first)))
	}
	expectHits("cached", 1)
	d.set("/jwks.json", jwks(t, second))
	s.expectReason("new key, within a minute", body(second), "no key has the kid")
	expectHits("within a minute", 1)
	s.wait(61 * time.Second)
	s.expectOK("new key", s.post(body(second)))
	expectHits("new key", 2)
	s.expectReason("old key", body(first), "no key has the kid")
	expectHits("old key", 2)
	d.set("/jwks.json", `{"keys":[{"kty":"oct","k":"AAAA"}]}`)
	s.wait(time.Hour)
	s.expectReason("a secret is published", body(second), "key 1 is private")

	s.addSigner("elsewhere", client.Assertion{JWKSURI: "https://169.254.169.254/latest"})
	s.expectReason("cloud metadata", asserted(first.sign(s.ownClaims("elsewhere", nil), nil)),
		"169.254.169.254 is not a public address")
	s.addSigner("missing", client.Assertion{JWKSURI: d.url + "/missing"})
	s.expectReason("no keys", asserted(first.sign(s.ownClaims("missing", nil), nil)), "404 Not Found")
}

// RFC 6749 section 5.2: invalid_client would tell a client that its keys are wrong. While they cannot be
// fetched, the client tries again, and no attempt counts as a failed authentication.
func TestKeysUnavailable(t *testing.T) {
	t.Parallel()
	s, d := newSiteWithDocuments(t)
	first, second := newSigner(t, jose.ES256, "1"), newSigner(t, jose.ES256, "2")
	d.set("/jwks.json", jwks(t, first))
	s.addSigner("signs", client.Assertion{JWKSURI: d.url + "/jwks.json"})
	s.addSigner("worker", client.Assertion{Issuer: d.url, Subject: "w"})
	request := func(id string, key *signer) *http.Request {
		return s.request(asserted(key.sign(s.ownClaims(id, nil), nil)))
	}
	expectUnavailable := func(what string, got answer) {
		t.Helper()
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "30" ||
			!strings.Contains(got.text, `"error":"temporarily_unavailable"`) {
			t.Errorf("%s: %d %v %s", what, got.status, got.header, got.text)
		}
	}
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusTooManyRequests} {
		d.fail(status)
		for range 10 {
			expectUnavailable(fmt.Sprint(status), s.send(request("signs", first)))
			expectUnavailable(fmt.Sprint("issuer ", status), s.send(request("worker", first)))
		}
		s.wait(31 * time.Second)
	}
	d.fail(0)
	s.expectOK("available again", s.post(asserted(first.sign(s.ownClaims("signs", nil), nil))))
	s.wait(61 * time.Second)
	d.fail(http.StatusServiceUnavailable)
	for range 10 {
		expectUnavailable("a key that may be new", s.send(request("signs", second)))
	}
	s.expectOK("a known key", s.post(asserted(first.sign(s.ownClaims("signs", nil), nil))))

	s.wait(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.serve(request("signs", first).WithContext(ctx)); got.status != http.StatusServiceUnavailable {
		t.Errorf("canceled: %d %s", got.status, got.text)
	}
	if text := s.log.String(); strings.Contains(text, "client_authentication_failed") {
		t.Errorf("failed authentications in the log:\n%s", text)
	}
}

// Slow servers of clients that nobody has registered do not keep the server from fetching the keys of others.
func TestKeysOfStrangers(t *testing.T) {
	t.Parallel()
	s, d := newSiteWithDocuments(t)
	reached, release := make(chan struct{}, 100), make(chan struct{})
	defer close(release)
	d.wait = func(path string) {
		if strings.HasPrefix(path, "/slow/") {
			reached <- struct{}{}
			<-release
		}
	}
	key := newSigner(t, jose.ES256, "1")
	d.set("/jwks.json", jwks(t, key))
	s.addSigner("signs", client.Assertion{JWKSURI: d.url + "/jwks.json"})
	const atOnce = 4 // requests of the strangers' kind to one host
	for i := range atOnce {
		path, keys := fmt.Sprint("/client/", i), fmt.Sprint(d.url, "/slow/", i)
		id := d.url + path
		d.set(path, fmt.Sprintf(`{"client_id":%q,"client_name":"Slow","redirect_uris":["https://app.example/"],`+
			`"token_endpoint_auth_method":"private_key_jwt","jwks_uri":%q}`, id, keys))
		s.must(s.data.AddUnregistered(t.Context(), client.Client{
			ID: id, Name: "Slow", Source: client.SourceDocument, SecretDigest: client.NoSecret, CreatedAt: s.clock(),
			LastUsedAt: s.clock(), Grants: []oauth.GrantType{oauth.GrantAuthorizationCode}, Scope: oauth.Scope{"items:read"},
			RedirectURIs: []string{"https://app.example/"},
			Assertion:    client.Assertion{JWKSURI: keys},
		}))
		r := s.request(asserted(key.sign(s.ownClaims(id, nil), nil)))
		go func() { _ = s.serve(r) }()
	}
	for range atOnce {
		<-reached
	}
	s.expectOK("the keys of an administrator's client", s.post(asserted(key.sign(s.ownClaims("signs", nil), nil))))
}

// Workload identity: a client authenticates by a token that a trusted issuer gave it, such as that
// of a Kubernetes service account. The token may be used again until it expires.
func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	s, d := newSiteWithDocuments(t)
	key, foreign := newSigner(t, jose.RS256, "cluster"), newSigner(t, jose.RS256, "cluster")
	const subject = "system:serviceaccount:shop:worker"
	metadata := func(issuer string) string {
		return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"unknown":[]}`, issuer, d.url+"/openid/v1/jwks")
	}
	d.set("/.well-known/openid-configuration", metadata(d.url))
	d.set("/openid/v1/jwks", jwks(t, key))
	s.addSigner("worker", client.Assertion{Issuer: d.url, Subject: subject})
	s.addSigner("offline", client.Assertion{Issuer: "https://kubernetes.default.svc", Subject: subject, JWKS: jwks(t, key)})
	s.addSigner("own-aud", client.Assertion{Issuer: d.url, Subject: subject, Audience: "hallpass"})
	claims := func(changes map[string]any) map[string]any {
		return changed(map[string]any{
			"iss": d.url, "sub": subject, "aud": []string{issuer}, "iat": s.clock().Unix(), "nbf": s.clock().Unix(),
			"exp": s.clock().Add(time.Hour).Unix(), "kubernetes.io": map[string]any{"namespace": "shop"},
		}, changes)
	}
	request := func(id string, key *signer, changes map[string]any) string {
		return asserted(key.sign(claims(changes), nil), "client_id", id)
	}
	body := request("worker", key, nil)
	for range 2 { // it has no jti
		if c := s.expectOK("worker", s.post(body)); c.ClientID != "worker" || c.Subject != "worker" {
			t.Errorf("token for %q", c.ClientID)
		}
	}
	if n := d.hits.Load(); n != 2 {
		t.Errorf("%d documents were fetched, want 2", n)
	}
	inCluster := map[string]any{"iss": "https://kubernetes.default.svc"}
	s.expectOK("keys from a file", s.post(request("offline", key, inCluster)))
	s.expectOK("an audience of its own", s.post(request("own-aud", key, map[string]any{"aud": "hallpass"})))
	for name, tt := range map[string]struct{ body, reason string }{
		"another key":                  {request("worker", foreign, nil), "the signature is wrong"},
		"another subject":              {request("worker", key, map[string]any{"sub": subject + "2"}), "sub is not the trusted subject"},
		"another issuer":               {request("worker", key, inCluster), "iss is not the trusted issuer"},
		"aud of others":                {request("worker", key, map[string]any{"aud": "https://other.example"}), "aud is another server"},
		"aud of the token endpoint":    {request("worker", key, map[string]any{"aud": issuer + "/token"}), "aud is another server"},
		"several aud":                  {request("worker", key, map[string]any{"aud": []string{issuer, "x"}}), "several values"},
		"our aud, own-aud":             {request("own-aud", key, nil), "aud is another server"},
		"no exp":                       {request("worker", key, map[string]any{"exp": nil}), "exp is missing"},
		"a year":                       {request("worker", key, map[string]any{"exp": s.clock().Add(8760 * time.Hour).Unix()}), "exp is more than 24h"},
		"signed by the client's rules": {asserted(key.sign(s.ownClaims("worker", nil), nil)), "iss is not the trusted issuer"},
		"at a client with keys":        {request(backend, key, nil), "has no keys"},
	} {
		s.expectReason(name, tt.body, tt.reason)
	}
	s.post(asserted(key.sign(claims(nil), nil))).expectInvalidClient("no client_id", "send client_id")
	s.wait(2 * time.Hour)
	s.expectReason("expired", body, "it has expired")

	d.set("/.well-known/openid-configuration", metadata("https://impostor.example"))
	s.wait(24 * time.Hour)
	s.expectReason("metadata of another issuer", request("worker", key, nil), "names another issuer")
	d.set("/.well-known/openid-configuration", strings.Replace(metadata(d.url), d.url+"/openid", "https://10.0.0.1/openid", 1))
	s.wait(24 * time.Hour)
	s.expectReason("keys inside the network", request("worker", key, nil), "10.0.0.1 is not a public address")
}
