package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests in the files thirdparty_*_test.go use the servers through client libraries
// that others wrote, as they are. What these refuse, no client of theirs can use.

// appURL is where the clients of these tests want the browser back.
const appURL = "http://127.0.0.1:8400/callback"

// startForThirdParty starts both servers with keys of an algorithm. Unless it is a shared
// secret, the API gets the keys from the authorization server. It registers the
// clients that the programs play and returns their secrets.
func startForThirdParty(t *testing.T, algorithm string) (*system, map[string]string) {
	t.Helper()
	s := newSystem(t)
	s.keysFile = filepath.Join(t.TempDir(), "keys.json")
	mustCommand(t, "", "authserver", "key", "init", "--algorithm", algorithm, s.keysFile)
	s.startAuthserver(t, "--demo")
	if algorithm == "HS256" {
		s.startResourceserver(t)
	} else {
		s.resourceserver = serve(t, "resourceserver", s.apiAdmin, "serve",
			"--keys-url", s.authURL+"/jwks.json", "--issuer", s.authURL, "--audience", s.apiURL,
			"--listen", s.apiAddress, "--admin-listen", s.apiAdmin, "--drain-delay", "0s")
	}
	t.Cleanup(func() {
		for _, p := range []*process{s.authserver, s.resourceserver} {
			if p.running() {
				p.stop(t)
			}
			checkNoSecrets(t, p)
			for _, prefix := range []string{"hpr_", "hpc_", "hps_"} { // of refresh tokens, codes, client secrets
				if strings.Contains(p.output.String(), prefix) {
					t.Errorf("the log of %s holds a secret that begins with %s", p.name, prefix)
				}
			}
		}
	})
	return s, s.registerThirdParty(t)
}

// registerThirdParty registers a client of each kind. All but native, which is of the house,
// ask the user; native may come back to any port of the machine (RFC 8252 §7.3).
func (s *system) registerThirdParty(t *testing.T) map[string]string {
	t.Helper()
	code := []string{"--grant", "authorization_code", "--grant", "refresh_token"}
	secrets := map[string]string{}
	for id, flags := range map[string][]string{
		"web":       append(code, "--redirect-uri", appURL),
		"native":    append(code, "--redirect-uri", "http://127.0.0.1/callback", "--public", "--first-party"),
		"backend":   {"--grant", "password", "--grant", "refresh_token"},
		"service":   {"--grant", "client_credentials"},
		"inspector": {"--grant", "client_credentials", "--introspects"},
	} {
		args := append([]string{"client", "add", id, "--scope", "profile items:read"}, flags...)
		secrets[id] = strings.TrimSpace(s.admin(t, "", args...))
	}
	return secrets
}

// environment tells a program where everything is, and lets the Python libraries use
// plain http as their documentation says.
func (s *system) environment(t *testing.T, algorithm string, secrets map[string]string) []string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"issuer": s.authURL, "api": s.apiURL, "redirectURI": appURL, "algorithm": algorithm, "secrets": secrets,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cleanEnv("SYSTEM="+string(text), "PYTHONDONTWRITEBYTECODE=1",
		"AUTHLIB_INSECURE_TRANSPORT=1", "OAUTHLIB_INSECURE_TRANSPORT=1")
}

// runThirdParty runs a program that uses a foreign library, from folder thirdparty/DIR, and is
// its browser: for every line "allow URL" or "deny URL" it goes there, decides, and
// tells the program where it came back. The program must see the steps succeed that
// are wanted, in this order, and exit with 0.
func (s *system) runThirdParty(t *testing.T, algorithm string, secrets map[string]string, dir string, program []string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir = filepath.Join("thirdparty", dir)
	cmd.Env = s.environment(t, algorithm, secrets)
	cmd.WaitDelay = time.Second
	cmd.Stderr = &output{}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %v: %v", program, err)
	}
	john := newPerson(t, "john.doe", demoPassword)
	saw := readSteps(t, stdout, func(decision, address string) {
		if _, err := io.WriteString(stdin, john.visit(address, appURL, decision)+"\n"); err != nil {
			t.Fatal(err)
		}
	})
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", program, err, cmd.Stderr)
	}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Errorf("steps that %v saw succeed (-want +got):\n%s", program, diff)
	}
}

// readSteps reads what a program says until its end, and returns the steps that it saw.
func readSteps(t *testing.T, stdout io.Reader, browse func(decision, address string)) []string {
	t.Helper()
	var saw []string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "saw":
			saw = append(saw, rest)
		case "allow", "deny":
			browse(verb, rest)
		default:
			t.Errorf("the program says %q", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return saw
}

// needNode leaves a test out where Node.js or the libraries are missing.
func needNode(t *testing.T) {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	var major int
	if _, scanErr := fmt.Sscanf(string(version), "v%d.", &major); err != nil || scanErr != nil || major < 20 {
		leftOut(t, "the client libraries of npm, which need Node.js 20 or newer")
	}
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		if _, err := os.Stat(filepath.Join("thirdparty", "node", "node_modules", library)); err != nil {
			leftOut(t, "the client libraries of npm, which `make test-deps` installs (npm ci in deploy/e2e/thirdparty/node)")
		}
	}
}

// python is Debian's, for which its packages are.
const python = "/usr/bin/python3"

// needPython leaves a test out where a module is missing.
func needPython(t *testing.T, module, debian string) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), python, "-c", "import "+module).Run(); err != nil {
		leftOut(t, "the Python library "+module+", which is in the Debian package "+debian)
	}
}
