package bearer_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// openFor returns a guard for an API with this identifier.
func openFor(t *testing.T, audience string) *bearer.Guard {
	t.Helper()
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: issuer, Audience: audience, Keys: bearertest.New(t).Ring(), AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return guard
}

// challengeOf returns the challenge to a request without a token.
func challengeOf(t *testing.T, guard *bearer.Guard) string {
	t.Helper()
	_, refusal := guard.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil))
	if refusal == nil {
		t.Fatal("a request without a token is accepted")
	}
	return refusal.Challenge()
}

// A challenge names the metadata only if the API serves it (RFC 9728 section 5.1). The metadata is that of
// section 2, at the address of section 3.1, and scripts of every origin may read it.
func TestServeMetadata(t *testing.T) {
	for audience, path := range map[string]string{
		"https://api.example":             bearer.MetadataPath,
		"https://api.example/v1":          bearer.MetadataPath + "/v1",
		"https://api.example/v1?tenant=1": bearer.MetadataPath + "/v1",
	} {
		guard, mux := openFor(t, audience), http.NewServeMux()
		if got := challengeOf(t, guard); strings.Contains(got, "resource_metadata") {
			t.Errorf("%s, not served: challenge %s", audience, got)
		}
		guard.ServeMetadata(mux.Handle, "b", "a")
		want := `resource_metadata="` + bearer.MetadataURL(audience) + `"`
		if got := challengeOf(t, guard); !strings.HasSuffix(got, want) {
			t.Errorf("%s: challenge %s, want %s", audience, got, want)
		}
		if got := guard.InvalidToken().Metadata; got != bearer.MetadataURL(audience) {
			t.Errorf("%s: InvalidToken has %q", audience, got)
		}
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Origin", "https://app.example")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		document := map[string]any{
			"resource": audience, "authorization_servers": []any{issuer}, "scopes_supported": []any{"a", "b"},
			"bearer_methods_supported": []any{"header"},
		}
		if !strings.Contains(audience, "?") { // such an API has no URL that a proof could be for
			document["dpop_signing_alg_values_supported"] = []any{"ES256", "EdDSA", "Ed25519", "RS256", "PS256"}
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: status %d, %v", audience, w.Code, err)
		}
		if diff := cmp.Diff(document, got); diff != "" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: header %v, document (-want +got):\n%s", audience, w.Header(), diff)
		}
	}
}

// An identifier that is not an http(s) URL has no address for metadata.
func TestServeMetadataOfOtherIdentifiers(t *testing.T) {
	guard := openFor(t, "urn:example:api")
	guard.ServeMetadata(func(path string, _ http.Handler) { t.Errorf("it is served at %s", path) })
	if got := challengeOf(t, guard); got != `Bearer realm="urn:example:api"` {
		t.Errorf("challenge %s", got)
	}
}
