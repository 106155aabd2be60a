package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The page "Your own API", from the copy of the resource server to the API that runs with the page's route.
func TestYourOwnAPIPage(t *testing.T) {
	longTest(t)
	t.Parallel()
	const name = "your-own-api.md"
	u := &tutorial{
		document:  document{name, readProject(t, docs+"/"+name)},
		folder:    t.TempDir(),
		addresses: strings.NewReplacer(),
	}
	if err := os.Symlink(absolute(t, root), filepath.Join(u.folder, "hallpass")); err != nil {
		t.Fatal(err)
	}
	u.write(t, filepath.Join(u.folder, ".variables"), goVariables(t))
	for _, s := range u.steps() {
		if isShell := s.info == "sh tutorial"; isShell && !strings.Contains(s.text, "cd reports") {
			s.text = "cd reports\n" + s.text
		}
		u.take(t, s)
	}
	checkReports(t, filepath.Join(u.folder, "reports", "reports"))
}

// goVariables returns shell variables by which a shell with another home folder runs go as this test does, without a
// workspace.
func goVariables(t *testing.T) string {
	t.Helper()
	names := []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"}
	values, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	variables := "PATH='" + os.Getenv("PATH") + "'\nGOWORK=off\n"
	for i, value := range strings.Split(strings.TrimSuffix(string(values), "\n"), "\n") {
		variables += names[i] + "='" + value + "'\n"
	}
	return variables
}

// checkReports starts the API of the page beside an authorization server, and calls it for a user.
func checkReports(t *testing.T, program string) {
	t.Helper()
	s := newSystem(t)
	s.startAuthserver(t, "--demo")
	s.admin(t, "", "client", "add", "app", "--public", "--grant", "password", "--scope", "reports:read profile")
	cmd := exec.Command(program, "serve", "--keys-file", s.apiKeysFile(), "--issuer", s.authURL, "--audience", s.apiURL,
		"--listen", s.apiAddress, "--admin-listen", s.apiAdmin, "--drain-delay", "0s")
	cmd.Env = cleanEnv()
	api := launch(t, "reports", cmd)
	waitFor(t, "the API of the page to be ready", func() bool { return isReady(s.apiAdmin) }, api)
	for scope, want := range map[string]int{"reports:read": http.StatusOK, "profile": http.StatusForbidden} {
		login := form("grant_type", "password", "username", "john.doe", "password", demoPassword,
			"client_id", "app", "scope", scope)
		token := send(t, s.authURL, login).text(t, "access_token")
		if got := send(t, s.apiURL, get("/reports/2026", "Bearer "+token)); got.status != want {
			t.Errorf("with the scope %s: %d %s, want %d", scope, got.status, got.body, want)
		}
	}
	if document := send(t, s.apiURL, get("/openapi.json")); !strings.Contains(document.body, `"/reports/{year}"`) {
		t.Error("the OpenAPI document does not have the operation of the page")
	}
	api.stop(t)
}
