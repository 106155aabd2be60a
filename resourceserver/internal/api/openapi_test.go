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
	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
)

var update = flag.Bool("update", false, "write the golden files")

// The document is compared with a golden file, since clients are generated from it.
func TestOpenAPIDocument(t *testing.T) {
	for golden, s := range map[string]*server{
		"openapi.json":       start(t, nil),
		"openapi-items.json": startItems(t, databasetest.URL(t, database.SQLite)).server,
	} {
		t.Run(golden, func(t *testing.T) { isGolden(t, s, filepath.Join("testdata", golden)) })
	}
}

// isGolden compares the document of a server with a file.
func isGolden(t *testing.T, s *server, golden string) {
	got := s.do(t, http.MethodGet, "/openapi.json")
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, Content-Type %q", got.StatusCode, got.Header.Get("Content-Type"))
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(got.body), "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
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

// operation is an operation of the OpenAPI document.
type operation struct {
	Security  []map[string][]string `json:"security"`
	Responses map[string]struct {
		Content map[string]any `json:"content"`
	} `json:"responses"`
}

// description is the OpenAPI document.
type description struct {
	Paths      map[string]map[string]operation `json:"paths"`
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

// unprotected are the operations that need no token. Every other one must be protected.
var unprotected = []string{}

var variable = regexp.MustCompile(`\{[^}]+\}`)

// The document describes the security of each operation as it is enforced.
func TestSecurityIsEnforcedAsDocumented(t *testing.T) {
	s := startItems(t, databasetest.URL(t, database.SQLite)).server
	d := describe(t, s)
	scheme := d.Components.SecuritySchemes["oauth2"]
	all := slices.Collect(maps.Keys(scheme.Flows.Password.Scopes))
	if len(d.Paths) == 0 || len(all) == 0 || scheme.Type != "oauth2" ||
		scheme.Flows.Password.TokenURL != bearertest.IssuerURL+"/token" {
		t.Fatalf("document %+v", d)
	}
	for path, operations := range d.Paths {
		for method, op := range operations {
			name := strings.ToUpper(method) + " " + path
			if slices.Contains(unprotected, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				op.isEnforced(t, s, all, strings.ToUpper(method), variable.ReplaceAllString(path, "1"))
			})
		}
	}
}

// isEnforced sends requests without a token, with all scopes, and without each required scope.
func (op operation) isEnforced(t *testing.T, s *server, all []string, method, target string) {
	if len(op.Security) != 1 || len(op.Security[0]["oauth2"]) == 0 {
		t.Fatalf("security %v", op.Security)
	}
	for _, status := range []string{"401", "403"} {
		if _, ok := op.Responses[status].Content["application/problem+json"]; !ok {
			t.Errorf("the response %s is not documented", status)
		}
	}
	ask := func(scopes ...string) int {
		claims := s.issuer.Claims(scopes...)
		claims.Groups = []string{"admins"}
		return s.do(t, method, target, "Authorization", "Bearer "+s.issuer.Sign(claims)).StatusCode
	}
	if got := s.do(t, method, target).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", got)
	}
	if got := ask(all...); got == http.StatusUnauthorized || got == http.StatusForbidden {
		t.Errorf("with every scope: status %d", got)
	}
	for _, needed := range op.Security[0]["oauth2"] {
		others := slices.DeleteFunc(slices.Clone(all), func(scope string) bool {
			return scope == needed || slices.Contains(api.ScopeIncludes[scope], needed)
		})
		if got := ask(others...); got != http.StatusForbidden {
			t.Errorf("without the scope %s: status %d", needed, got)
		}
	}
}

// Config.Docs controls /docs, /redoc and /openapi.json.
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
