package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The document is part of the contract with those who generate clients from it: it
// changes only when somebody wants it to.
func TestOpenAPIDocument(t *testing.T) {
	got := start(t, nil).do(t, http.MethodGet, "/openapi.json")
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, Content-Type %q", got.StatusCode, got.Header.Get("Content-Type"))
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(got.body), "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), indented.String()); diff != "" {
		t.Errorf("go test -update accepts this (-want +got):\n%s", diff)
	}
}

// description is what a test looks at in the OpenAPI document.
type description struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string                `json:"operationId"`
		Summary     string                `json:"summary"`
		Security    []map[string][]string `json:"security"`
		Responses   map[string]struct {
			Content map[string]any `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		SecuritySchemes map[string]struct {
			Type  string `json:"type"`
			Flows struct {
				Password struct {
					TokenURL string            `json:"tokenUrl"`
					Scopes   map[string]string `json:"scopes"`
				} `json:"password"`
			} `json:"flows"`
		} `json:"securitySchemes"`
	} `json:"components"`
}

func describe(t *testing.T, s *server) description {
	t.Helper()
	var d description
	if err := json.Unmarshal([]byte(s.do(t, http.MethodGet, "/openapi.json").body), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// unprotected names the operations that need no token. One that is not here and is
// open is open by accident.
var unprotected = []string{}

var variable = regexp.MustCompile(`\{[^}]+\}`)

// What the document says of an operation's security is what happens.
func TestSecurityIsEnforcedAsDocumented(t *testing.T) {
	s := start(t, nil)
	d := describe(t, s)
	scheme := d.Components.SecuritySchemes["oauth2"]
	all := slices.Collect(maps.Keys(scheme.Flows.Password.Scopes))
	if len(d.Paths) == 0 || len(all) == 0 || scheme.Type != "oauth2" || scheme.Flows.Password.TokenURL != bearertest.IssuerURL+"/token" {
		t.Fatalf("document %+v", d)
	}
	for path, operations := range d.Paths {
		for method, op := range operations {
			method, target := strings.ToUpper(method), variable.ReplaceAllString(path, "1")
			name := method + " " + path
			if slices.Contains(unprotected, name) {
				continue
			}
			if len(op.Security) != 1 || len(op.Security[0]["oauth2"]) == 0 {
				t.Errorf("%s: security %v", name, op.Security)
				continue
			}
			for _, status := range []string{"401", "403"} {
				if _, ok := op.Responses[status].Content["application/problem+json"]; !ok {
					t.Errorf("%s: response %s is not documented", name, status)
				}
			}
			if got := s.do(t, method, target); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s without a token: status %d", name, got.StatusCode)
			}
			if got := s.do(t, method, target, "Authorization", "Bearer "+s.issuer.Token(all...)); got.StatusCode == http.StatusUnauthorized || got.StatusCode == http.StatusForbidden {
				t.Errorf("%s with every scope: status %d", name, got.StatusCode)
			}
			for _, needed := range op.Security[0]["oauth2"] {
				others := slices.DeleteFunc(slices.Clone(all), func(scope string) bool { return scope == needed })
				if got := s.do(t, method, target, "Authorization", "Bearer "+s.issuer.Token(others...)); got.StatusCode != http.StatusForbidden {
					t.Errorf("%s without the scope %s: status %d", name, needed, got.StatusCode)
				}
			}
		}
	}
}

// /docs, /redoc and /openapi.json are there or not together.
func TestDocsCanBeSwitchedOff(t *testing.T) {
	s := start(t, func(cfg *api.Config) { cfg.Docs = false })
	for _, path := range []string{"/docs", "/redoc", "/openapi.json", "/docs/swagger-ui.css"} {
		if got := s.do(t, http.MethodGet, path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.StatusCode)
		}
	}
	if got := s.get(t, "/users/me"); got.StatusCode != http.StatusOK {
		t.Errorf("/users/me: status %d", got.StatusCode)
	}
}
