package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

// attribute matches the first attribute of a challenge: a name, an equals sign, a quoted string without
// quotes and backslashes (RFC 6750 section 3).
var attribute = regexp.MustCompile(`^([a-z_]+)="([^"\\]*)"(?:, |$)`)

// challenge returns the attributes of the Bearer challenge that the response must have. No attribute
// may be repeated (RFC 6750 section 3). If it has no error, a challenge of DPoP follows (RFC 9449 section 7.1).
func challenge(t testing.TB, a response) map[string]string {
	t.Helper()
	values := a.Header.Values("WWW-Authenticate")
	if len(values) == 2 && strings.HasPrefix(values[1], `DPoP algs="ES256 `) && !strings.Contains(values[0], "error=") {
		values = values[:1]
	}
	if len(values) != 1 {
		t.Fatalf("status %d with challenges %q", a.StatusCode, values)
	}
	list, ok := strings.CutPrefix(values[0], "Bearer ")
	if !ok {
		t.Fatalf("challenge %q", values[0])
	}
	attributes := map[string]string{}
	for list != "" {
		m := attribute.FindStringSubmatch(list)
		if m == nil {
			t.Fatalf("%q in the challenge %q", list, values[0])
		}
		list = list[len(m[0]):]
		if _, repeated := attributes[m[1]]; repeated {
			t.Errorf("attribute %s repeated in %q", m[1], values[0])
		}
		attributes[m[1]] = m[2]
	}
	return attributes
}

const metadataURL = bearertest.Audience + "/.well-known/oauth-protected-resource"

// The scheme is case-insensitive (RFC 9110 section 11.1).
func TestSchemeIsCaseInsensitive(t *testing.T) {
	s := start(t, nil)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
		got := s.do(t, http.MethodGet, "/users/me", "Authorization", scheme+" "+s.issuer.Token("profile"))
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", scheme, got.StatusCode)
		}
	}
}

// A token in the query is ignored (RFC 6750 section 2.3), and a request without a token gets a challenge
// without an error code (section 3.1).
func TestChallengeWithoutCredentials(t *testing.T) {
	s := start(t, nil)
	for target, scope := range map[string]string{
		"/users/me": "profile", "/items/42": "items:read",
		"/users/me?access_token=" + s.issuer.Token("profile"): "profile",
	} {
		got := s.do(t, http.MethodGet, target)
		want := map[string]string{"realm": bearertest.Audience, "scope": scope, "resource_metadata": metadataURL}
		if diff := cmp.Diff(want, challenge(t, got)); got.StatusCode != http.StatusUnauthorized || diff != "" {
			t.Errorf("%s: status %d, challenge (-want +got):\n%s", target, got.StatusCode, diff)
		}
	}
}

// The error codes with their statuses (RFC 6750 section 3.1). Two ways to send a token at once are
// invalid_request (section 2).
func TestChallengeWithErrorCode(t *testing.T) {
	s := start(t, nil)
	good := s.issuer.Token("profile")
	for _, tt := range []struct {
		name, target, code, scope string
		status                    int
		header                    []string
	}{
		{"bad token", "/users/me", "invalid_token", "profile", http.StatusUnauthorized, []string{"Authorization", "Bearer x"}},
		{"scope missing", "/items/42", "insufficient_scope", "items:read", http.StatusForbidden, []string{"Authorization", "Bearer " + good}},
		{"header and query", "/users/me?access_token=" + good, "invalid_request", "", http.StatusBadRequest, []string{"Authorization", "Bearer " + good}},
		{"two headers", "/users/me", "invalid_request", "", http.StatusBadRequest, []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}},
	} {
		got := s.do(t, http.MethodGet, tt.target, tt.header...)
		p, c := got.problem(t), challenge(t, got)
		if got.StatusCode != tt.status || c["error"] != tt.code || c["scope"] != tt.scope ||
			c["realm"] != bearertest.Audience {
			t.Errorf("%s: status %d, challenge %v", tt.name, got.StatusCode, c)
		}
		if p.Detail == "" || c["error_description"] != p.Detail {
			t.Errorf("%s: detail %q, challenge %v", tt.name, p.Detail, c)
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", tt.name, got.Header.Get("Cache-Control"))
		}
	}
}

// documentedScopes returns the scopes of the OpenAPI document, sorted.
func documentedScopes(t *testing.T, s *server) (scopes []any) {
	t.Helper()
	var document struct {
		Components struct {
			SecuritySchemes map[string]struct {
				Flows map[string]struct{ Scopes map[string]string }
			}
		}
	}
	if err := json.Unmarshal([]byte(s.do(t, http.MethodGet, "/openapi.json").body), &document); err != nil {
		t.Fatal(err)
	}
	flow := document.Components.SecuritySchemes["oauth2"].Flows["password"]
	if len(flow.Scopes) == 0 {
		t.Fatal("the OpenAPI document has no scopes")
	}
	for _, scope := range slices.Sorted(maps.Keys(flow.Scopes)) {
		scopes = append(scopes, scope)
	}
	return scopes
}

// The challenge has the address of the metadata (RFC 9728 section 5.1), also for an identifier with a path
// or a query (section 3.1).
func TestMetadata(t *testing.T) {
	for _, audience := range []string{
		"https://api.example",
		"http://127.0.0.1:8000",
		"https://api.example/v1",
		"https://api.example/v1/",
		"https://api.example/v1?tenant=1",
		"https://api.example/a%7Bb%7D",
	} {
		s := start(t, func(cfg *api.Config) { cfg.Guard = guardFor(t, audience) })
		address := challenge(t, s.do(t, http.MethodGet, "/users/me"))["resource_metadata"]
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(u.Path, "/.well-known/oauth-protected-resource") {
			t.Errorf("%s: resource_metadata %q", audience, address)
			continue
		}
		got := s.do(t, http.MethodGet, u.RequestURI())
		var document map[string]any
		if err := json.Unmarshal([]byte(got.body), &document); err != nil ||
			got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, body %q", audience, got.StatusCode, got.body)
			continue
		}
		want := map[string]any{
			"resource":                 audience, // identical, or the client must not use it (RFC 9728 section 3.3)
			"authorization_servers":    []any{bearertest.IssuerURL},
			"scopes_supported":         documentedScopes(t, s),
			"bearer_methods_supported": []any{"header"},
		}
		if !strings.Contains(audience, "?") { // such an API has no URL that a DPoP proof could be for
			want["dpop_signing_alg_values_supported"] = []any{"ES256", "EdDSA", "Ed25519", "RS256", "PS256"}
		}
		if diff := cmp.Diff(want, document); diff != "" {
			t.Errorf("%s (-want +got):\n%s", audience, diff)
		}
	}
}

// An API whose identifier is not an http(s) URL has no metadata.
func TestNoMetadataForOtherIdentifiers(t *testing.T) {
	s := start(t, func(cfg *api.Config) { cfg.Guard = guardFor(t, "urn:example:api") })
	if c := challenge(t, s.do(t, http.MethodGet, "/users/me")); c["resource_metadata"] != "" ||
		c["realm"] != "urn:example:api" {
		t.Errorf("challenge %v", c)
	}
	if got := s.do(t, http.MethodGet, "/.well-known/oauth-protected-resource"); got.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", got.StatusCode)
	}
}

func guardFor(t *testing.T, audience string) *bearer.Guard {
	t.Helper()
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer:   bearertest.IssuerURL,
		Audience: audience,
		Keys:     bearertest.New(t).Ring(),

		AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return guard
}

// A page of an allowed origin may call the API and read refusals; a page of another origin may not.
func TestCORS(t *testing.T) {
	s := start(t, func(cfg *api.Config) { cfg.AllowedOrigins = []string{"https://app.example"} })
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": ""} {
		preflight := s.do(t, http.MethodOptions, "/users/me", "Origin", origin,
			"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
		if got := preflight.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("preflight from %s: Access-Control-Allow-Origin %q", origin, got)
		}
		if got := preflight.Header.Get("Access-Control-Allow-Methods"); (got == "GET") != (want != "") {
			t.Errorf("preflight from %s: Access-Control-Allow-Methods %q", origin, got)
		}
		refused := s.do(t, http.MethodGet, "/users/me", "Origin", origin)
		if got := refused.Header.Get("Access-Control-Allow-Origin"); got != want ||
			refused.StatusCode != http.StatusUnauthorized {
			t.Errorf("refusal to %s: status %d, Access-Control-Allow-Origin %q", origin, refused.StatusCode, got)
		}
	}
	got := start(t, nil).do(t, http.MethodGet, "/users/me", "Origin", "https://app.example")
	if got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS is on without a setting")
	}
}

// A script of an allowed origin can read every error, also of a path or method that does not exist.
func TestErrorsAreReadableByAllowedOrigins(t *testing.T) {
	const app = "https://app.example"
	s := start(t, func(cfg *api.Config) { cfg.AllowedOrigins = []string{app} })
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nowhere", 404}, {"PUT", "/nowhere", 404}, {"POST", "/users/me", 405}, {"DELETE", "/items/42", 405},
		{"PATCH", "/docs", 405}, {"GET", "/items/abc", 401},
	} {
		preflight := s.do(t, http.MethodOptions, tt.path, "Origin", app,
			"Access-Control-Request-Method", tt.method, "Access-Control-Request-Headers", "authorization")
		if preflight.Header.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("preflight of %s %s: %v", tt.method, tt.path, preflight.Header)
		}
		got := s.do(t, tt.method, tt.path, "Origin", app)
		if got.StatusCode != tt.status || got.Header.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("%s %s: status %d, %v", tt.method, tt.path, got.StatusCode, got.Header)
		}
	}
}

// The API's metadata and its description are public: scripts of every origin may read them, whatever headers
// they send, whether other origins are allowed or not (RFC 9728 section 3.1).
func TestPublicDocumentsAreReadableByEveryOrigin(t *testing.T) {
	for _, allowed := range [][]string{nil, {"https://app.example"}} {
		s := start(t, func(cfg *api.Config) { cfg.AllowedOrigins = allowed })
		for _, path := range []string{"/openapi.json", "/.well-known/oauth-protected-resource"} {
			for _, origin := range []string{"https://app.example", "https://other.example", "null"} {
				preflight := s.do(t, http.MethodOptions, path, "Origin", origin,
					"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,mcp-protocol-version")
				if preflight.Header.Get("Access-Control-Allow-Origin") != "*" ||
					preflight.Header.Get("Access-Control-Allow-Headers") != "authorization,mcp-protocol-version" {
					t.Errorf("preflight of %s from %s: %v", path, origin, preflight.Header)
				}
				got := s.do(t, http.MethodGet, path, "Origin", origin)
				if got.StatusCode != http.StatusOK || len(got.Header.Values("Access-Control-Allow-Origin")) != 1 ||
					got.Header.Get("Access-Control-Allow-Origin") != "*" {
					t.Errorf("%s from %s: status %d, %v", path, origin, got.StatusCode, got.Header)
				}
			}
		}
		if got := s.do(t, http.MethodGet, "/users/me", "Origin", "https://other.example"); got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the API is open to every origin: %v", got.Header)
		}
	}
}
