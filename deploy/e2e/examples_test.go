package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// pythonVerify runs deploy/examples/verify_token.py and returns the claims, or the last line of
// its error.
func (w *twoAPIs) pythonVerify(
	t *testing.T,
	audience, keysFile, scope, accessToken string,
) (claims map[string]any, problem string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, filepath.Join(root, "deploy", "examples", "verify_token.py"), scope)
	cmd.Env = cleanEnv("HALLPASS_ISSUER="+w.authURL(), "HALLPASS_AUDIENCE="+audience, "HALLPASS_KEYS_FILE="+keysFile)
	cmd.Stdin = strings.NewReader(accessToken + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return nil, lines[len(lines)-1]
	}
	if err := json.Unmarshal(out, &claims); err != nil {
		t.Fatalf("it printed %s: %v", out, err)
	}
	return claims, ""
}

// The Python example accepts the tokens of its API that the scope allows, and refuses others.
func (w *twoAPIs) verifyInPython(t *testing.T) {
	needPython(t, "jwt", "python3-jwt")
	first, second := w.tokenFor(t, w.firstAt()), w.tokenFor(t, w.secondAt)
	for _, tt := range []struct{ name, audience, file, scope, token, problem string }{
		{"first API", w.firstAt(), "api-keys.json", "items:read", first, ""},
		{"second API", w.secondAt, "second-keys.json", "items:read", second, ""},
		{"token of the other API", w.firstAt(), "api-keys.json", "items:read", second, "typ or kid"},
		{"key of the other API", w.firstAt(), "second-keys.json", "items:read", second, "typ or kid"},
		{"another audience", "https://other.example", "api-keys.json", "items:read", first, "InvalidAudienceError"},
		{"another scope", w.firstAt(), "api-keys.json", "items:write", first, "scope is wrong"},
		{"a changed token", w.firstAt(), "api-keys.json", "items:read", first[:len(first)-5] + "AAAAA", "InvalidSignatureError"},
		{"no token", w.firstAt(), "api-keys.json", "items:read", "abc", "DecodeError"},
	} {
		claims, problem := w.pythonVerify(t, tt.audience, w.file(tt.file), tt.scope, tt.token)
		switch {
		case tt.problem == "" && claims["client_id"] != "worker":
			t.Errorf("%s: it prints %v and %q, want the claims of worker", tt.name, claims, problem)
		case !strings.Contains(problem, tt.problem):
			t.Errorf("%s: it says %q, want %q", tt.name, problem, tt.problem)
		}
	}
	revoke := form(append(w.client[2:6], "token", first)...)
	revoke.path = "/revoke"
	if got := send(t, w.authURL(), revoke); got.status != http.StatusOK {
		t.Fatalf("revocation: %d %s", got.status, got.body)
	}
	var problem string
	waitFor(t, "the example to refuse the revoked token", func() bool {
		_, problem = w.pythonVerify(t, w.firstAt(), w.file("api-keys.json"), "items:read", first)
		return problem != ""
	}, w.process)
	if !strings.Contains(problem, "the token is revoked") {
		t.Errorf("it says %q, want that the token is revoked", problem)
	}
}

// The page "Protect an API" has a row for each claim of a user's token, and a sample with all of
// them.
func TestClaimsTable(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(s.login(t, "john.doe", demoPassword), claims); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(claims))

	page := readProject(t, docs+"/protect-an-api.md")
	_, section, _ := strings.Cut(page, "\n## What a token says\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for _, cell := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(cell[1], ", ") {
			rows = append(rows, strings.Trim(name, "`"))
		}
	}
	slices.Sort(rows)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("the table differs from a token (-token +table):\n%s", diff)
	}
	var sample []string
	for _, member := range regexp.MustCompile(`(?m)^  "(\w+)": `).FindAllStringSubmatch(section, -1) {
		sample = append(sample, member[1])
	}
	slices.Sort(sample)
	if diff := cmp.Diff(want, sample); diff != "" {
		t.Errorf("the sample differs from a token (-token +sample):\n%s", diff)
	}
}
