package web_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/shared/keyring"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// metadata fetches the document of RFC 8414.
func (s *site) metadata() answer {
	s.t.Helper()
	return s.send(s.request("", func(r *http.Request) {
		r.Method, r.URL.Path = http.MethodGet, "/.well-known/oauth-authorization-server"
	}))
}

// RFC 8414 section 2: scopes_supported has the scopes that are described.
func TestScopesOfTheMetadata(t *testing.T) {
	s := newSite(t)
	for _, want := range [][]any{{"profile"}, {"items:read", "profile"}} {
		got := s.metadata()
		var document map[string]any
		if err := json.Unmarshal([]byte(got.text), &document); got.status != http.StatusOK || err != nil {
			t.Fatalf("%d, %v: %s", got.status, err, got.text)
		}
		if diff := cmp.Diff(want, document["scopes_supported"]); diff != "" || document["issuer"] != issuer {
			t.Errorf("issuer %v, scopes (-want +got):\n%s", document["issuer"], diff)
		}
		s.must(s.data.DescribeScope(t.Context(), resource.ScopeDescription{Scope: "items:read", Text: "See your items"}))
	}
	s.must(s.data.Close())
	got := s.metadata()
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" ||
		got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("without a database: %d %v", got.status, got.header)
	}
}

// RFC 8414 section 2: jwks_uri is there if and only if there is a public key to verify tokens with. A server
// that signs with shared secrets publishes none.
func TestJWKSURI(t *testing.T) {
	for _, algorithm := range keyring.Algorithms {
		s := newSite(t, func(cfg *web.Config) {
			set, err := keyring.Generate(algorithm, cfg.Now(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			ring, err := keyring.Parse(set)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Keys = ring
		})
		var document map[string]any
		if err := json.Unmarshal([]byte(s.metadata().text), &document); err != nil {
			t.Fatal(err)
		}
		want := any(issuer + "/jwks.json")
		if algorithm == keyring.HS256 {
			want = nil
		}
		if got := document["jwks_uri"]; got != want {
			t.Errorf("%s: jwks_uri %v, want %v", algorithm, got, want)
		}
	}
}
