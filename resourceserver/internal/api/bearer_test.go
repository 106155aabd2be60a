package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// attribute is the first of a challenge's: a token, an equals sign, a quoted string
// without a quote or a backslash in it (RFC 6750 §3).
var attribute = regexp.MustCompile(`^([a-z_]+)="([^"\\]*)"(?:, |$)`)

// challenge returns the attributes of the one Bearer challenge that the answer must
// have. CHECKLIST 59: no attribute is repeated.
func challenge(t testing.TB, a answer) map[string]string {
	t.Helper()
	values := a.Header.Values("WWW-Authenticate")
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

// CHECKLIST 55 (RFC 9110 §11.1): the scheme may be written in any letter case.
func TestSchemeInAnyLetterCase(t *testing.T) {
	s := start(t, nil)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
		if got := s.do(t, http.MethodGet, "/users/me", "Authorization", scheme+" "+s.issuer.Token("profile")); got.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", scheme, got.StatusCode)
		}
	}
}

// CHECKLIST 56: a token in the query is no credential. CHECKLIST 57: without
// credentials the challenge has no error code.
func TestChallengeWithoutCredentials(t *testing.T) {
	s := start(t, nil)
	for _, target := range []string{"/users/me", "/items/42", "/users/me?access_token=" + s.issuer.Token("profile")} {
		got := s.do(t, http.MethodGet, target)
		want := map[string]string{"realm": bearertest.Audience, "resource_metadata": metadataURL}
		if diff := cmp.Diff(want, challenge(t, got)); got.StatusCode != http.StatusUnauthorized || diff != "" {
			t.Errorf("%s: status %d, challenge (-want +got):\n%s", target, got.StatusCode, diff)
		}
	}
}

// CHECKLIST 58: the codes of RFC 6750 §3.1 with their statuses. CHECKLIST 60: two
// ways to send a token at once are invalid_request.
func TestChallengeWithErrorCode(t *testing.T) {
	s := start(t, nil)
	good := s.issuer.Token("profile")
	for _, tt := range []struct {
		name, target, code, scope string
		status                    int
		header                    []string
	}{
		{"bad token", "/users/me", "invalid_token", "", http.StatusUnauthorized, []string{"Authorization", "Bearer x"}},
		{"scope missing", "/items/42", "insufficient_scope", "items:read", http.StatusForbidden, []string{"Authorization", "Bearer " + good}},
		{"header and query", "/users/me?access_token=" + good, "invalid_request", "", http.StatusBadRequest, []string{"Authorization", "Bearer " + good}},
		{"two headers", "/users/me", "invalid_request", "", http.StatusBadRequest, []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}},
	} {
		got := s.do(t, http.MethodGet, tt.target, tt.header...)
		p, c := got.problem(t), challenge(t, got)
		if got.StatusCode != tt.status || c["error"] != tt.code || c["scope"] != tt.scope || c["realm"] != bearertest.Audience {
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

// CHECKLIST 61 (RFC 9728 §3, §5.1): the challenge says where the metadata is, and
// there it is, for an identifier with a path too.
func TestMetadata(t *testing.T) {
	for _, audience := range []string{"https://api.example", "http://127.0.0.1:8000", "https://api.example/v1", "https://api.example/v1/", "https://api.example/a%7Bb%7D"} {
		s := start(t, func(cfg *api.Config) { cfg.Verifier = verifierFor(t, audience) })
		address := challenge(t, s.do(t, http.MethodGet, "/users/me"))["resource_metadata"]
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(u.Path, "/.well-known/oauth-protected-resource") {
			t.Errorf("%s: resource_metadata %q", audience, address)
			continue
		}
		got := s.do(t, http.MethodGet, u.EscapedPath())
		var document map[string]any
		if err := json.Unmarshal([]byte(got.body), &document); err != nil || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, body %q", audience, got.StatusCode, got.body)
			continue
		}
		want := map[string]any{
			"resource":                 audience, // RFC 9728 §3.3: identical, or the client must not use it
			"authorization_servers":    []any{bearertest.IssuerURL},
			"scopes_supported":         []any{"items:read", "profile"},
			"bearer_methods_supported": []any{"header"},
		}
		if diff := cmp.Diff(want, document); diff != "" {
			t.Errorf("%s (-want +got):\n%s", audience, diff)
		}
	}
}

// An identifier that is no http(s) URL has no place for metadata.
func TestNoMetadataForOtherIdentifiers(t *testing.T) {
	s := start(t, func(cfg *api.Config) { cfg.Verifier = verifierFor(t, "urn:example:api") })
	if c := challenge(t, s.do(t, http.MethodGet, "/users/me")); c["resource_metadata"] != "" || c["realm"] != "urn:example:api" {
		t.Errorf("challenge %v", c)
	}
	if got := s.do(t, http.MethodGet, "/.well-known/oauth-protected-resource"); got.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", got.StatusCode)
	}
}

func verifierFor(t *testing.T, audience string) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(token.VerifierConfig{Keys: bearertest.New(t).Ring(), Issuer: bearertest.IssuerURL, Audience: audience})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A page of an allowed origin may call the API and read why it was refused; a page
// of another may not.
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
		if got := refused.Header.Get("Access-Control-Allow-Origin"); got != want || refused.StatusCode != http.StatusUnauthorized {
			t.Errorf("refusal to %s: status %d, Access-Control-Allow-Origin %q", origin, refused.StatusCode, got)
		}
	}
	if got := start(t, nil).do(t, http.MethodGet, "/users/me", "Origin", "https://app.example"); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS is on without a setting")
	}
}
