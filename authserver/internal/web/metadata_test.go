package web_test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

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

// RFC 8414 section 5: clients that look for OpenID metadata only find the same bytes.
func TestMetadataOfOpenIDClients(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want, got := s.metadata(), s.get("/.well-known/openid-configuration", header("Origin", "https://app.example"))
	if got.status != http.StatusOK || got.text != want.text ||
		got.header.Get("Content-Type") != want.header.Get("Content-Type") ||
		got.header.Get("Cache-Control") != want.header.Get("Cache-Control") ||
		got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %d %v %s, want %s", got.status, got.header, got.text, want.text)
	}
}

// RFC 8414 section 2: jwks_uri is there if there is a public key, whether it signs yet or no longer.
func TestKeysOfTheMetadata(t *testing.T) {
	t.Parallel()
	secret, err := keyring.FromSecret(strings.Repeat("s", keyring.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	now := newSite(t).clock()
	for name, tt := range map[string]struct {
		ring *keyring.Ring
		want bool
	}{
		"a secret":                   {secret, false},
		"a key":                      {edRing(t, nil), true},
		"a key that signs tomorrow":  {edRing(t, map[string]any{"nbf": now.Add(24 * time.Hour).Unix()}), true},
		"a key that ended yesterday": {edRing(t, map[string]any{"exp": now.Add(-24 * time.Hour).Unix()}), false},
	} {
		s := newSite(t, func(cfg *web.Config) { cfg.Keys = tt.ring })
		var document map[string]any
		s.metadata().decode(&document)
		if got := document["jwks_uri"] == issuer+"/jwks.json"; got != tt.want {
			t.Errorf("%s: jwks_uri %v", name, document["jwks_uri"])
		}
		var set struct{ Keys []any }
		s.get("/jwks.json").decode(&set)
		if (len(set.Keys) > 0) != tt.want || set.Keys == nil {
			t.Errorf("%s: keys %v", name, set.Keys)
		}
	}
}

// edRing returns a ring of one Ed25519 key with additional members.
func edRing(t *testing.T, members map[string]any) *keyring.Ring {
	t.Helper()
	key := map[string]any{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1",
		"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", // RFC 8037 appendix A.1
		"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
	}
	maps.Copy(key, members)
	text, err := json.Marshal(map[string]any{"keys": []any{key}})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
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
		description := resource.ScopeDescription{Scope: "items:read", Text: "See your items"}
		s.must(s.data.DescribeScope(t.Context(), description, s.clock()))
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
