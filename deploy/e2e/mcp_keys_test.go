package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// newAgentKey returns a new key of a client.
func newAgentKey(t *testing.T) jose.JSONWebKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: "key of the agent"}
}

// assertion returns an assertion of a client (RFC 7523 section 2.2).
func (run *mcpRun) assertion(t *testing.T, key jose.JSONWebKey, id string) string {
	t.Helper()
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": run.authURL, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// token sends a request to the token endpoint with an assertion, unless that is empty. It returns the status and
// the response.
func (run *mcpRun) token(t *testing.T, form url.Values, assertion string) (int, map[string]any) {
	t.Helper()
	form = maps.Clone(form)
	if assertion != "" {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	}
	resp, err := http.PostForm(run.authURL+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// authorize gets a code for a client, and returns the form that redeems it.
func (run *mcpRun) authorize(t *testing.T, id string, scopes ...string) url.Values {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	config := oauth2.Config{ClientID: id, RedirectURL: agentURL, Scopes: scopes}
	config.Endpoint.AuthURL = run.authURL + "/authorize"
	asked := config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", run.mcpURL))
	back, err := url.Parse(newPerson(t, "john.doe", demoPassword).visit(asked, agentURL, "allow"))
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "client_id": {id},
		"redirect_uri": {agentURL}, "code_verifier": {verifier}, "resource": {run.mcpURL},
	}
}

// callWithKeys logs in with clients whose metadata document has a JWK Set or the URL of one. They authenticate by
// assertions that they sign.
func (run *mcpRun) callWithKeys(t *testing.T) {
	key := newAgentKey(t)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
	jwksURI := run.documents.publish("/jwks.json", set)
	for path, keys := range map[string]map[string]any{
		"/jwks-uri": {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwksURI},
		"/jwks":     {"token_endpoint_auth_method": "private_key_jwt", "jwks": set},
	} {
		t.Run(path, func(t *testing.T) {
			run.logInWithKey(t, key, run.documents.client(path, keys))
		})
	}
}

// logInWithKey logs John in at a client, calls the MCP server, and refreshes. Requests without a valid assertion of
// the client are refused.
func (run *mcpRun) logInWithKey(t *testing.T, key jose.JSONWebKey, id string) {
	code := run.authorize(t, id, "notes:read")
	for name, wrong := range map[string]string{
		"none": "", "of another key": run.assertion(t, newAgentKey(t), id),
		"of another client": run.assertion(t, key, id+"x"), "malformed": "x",
	} {
		if status, body := run.token(t, code, wrong); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
			t.Errorf("assertion %s: status %d %v", name, status, body)
		}
	}
	once := run.assertion(t, key, id)
	status, tokens := run.token(t, code, once)
	if status != http.StatusOK {
		t.Fatalf("status %d %v", status, tokens)
	}
	access, _ := tokens["access_token"].(string)
	run.checkAccepted(t, access)
	refresh, _ := tokens["refresh_token"].(string)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {id}}
	if status, body := run.token(t, form, once); status != http.StatusUnauthorized {
		t.Errorf("assertion used twice: status %d %v", status, body)
	}
	if status, body := run.token(t, form, run.assertion(t, key, id)); status != http.StatusOK {
		t.Errorf("refresh: status %d %v", status, body)
	}
}

// checkAccepted checks that the MCP server accepts an access token.
func (run *mcpRun) checkAccepted(t *testing.T, access string) {
	t.Helper()
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",` +
		`"capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, run.mcpURL, strings.NewReader(initialize))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the MCP server responds %s", resp.Status)
	}
}
