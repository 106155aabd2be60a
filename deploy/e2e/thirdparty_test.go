package e2e_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// The tests in the files thirdparty_*_test.go use the servers through unmodified client
// libraries of other projects.

// appURL is the redirect URI of the clients in these tests.
const appURL = "http://127.0.0.1:8400/callback"

// startForThirdParty starts both servers with keys of an algorithm, and registers the clients.
// Unless the algorithm is HS256, the API fetches the keys from the authorization server. It
// returns the secrets of the clients by their ids.
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
					t.Errorf("the log of %s has a secret that begins with %s", p.name, prefix)
				}
			}
		}
	})
	return s, s.registerThirdParty(t)
}

// registerThirdParty registers a client of each kind. The client native is first-party, but
// asks each time (RFC 8252 section 8.6), and may use any port of its redirect URI (section 7.3).
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
		"exchanger": {"--grant", "token_exchange", "--exchange-from", "default", "--exchange-to", "default"},
	} {
		args := append([]string{"client", "add", id, "--scope", "profile items:read"}, flags...)
		secrets[id] = strings.TrimSpace(s.admin(t, "", args...))
	}
	s.registerSigner(t)
	return secrets
}

// registerSigner makes a key, and registers a client that authenticates by it (RFC 7523).
func (s *system) registerSigner(t *testing.T) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.signer = jose.JSONWebKey{Key: private, KeyID: "key of signer"}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.signer.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "signer.jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	s.admin(t, "", "client", "add", "signer", "--grant", "client_credentials", "--introspects",
		"--scope", "items:read", "--jwks-file", file)
}

// environment returns the environment of a program: a description of the system, and the
// documented variables that allow the Python libraries to use plain http.
func (s *system) environment(t *testing.T, algorithm string, secrets map[string]string) []string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"issuer": s.authURL, "api": s.apiURL, "redirectURI": appURL, "algorithm": algorithm, "secrets": secrets,
		"signer": map[string]any{"jwk": s.signer, "kid": s.signer.KeyID},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cleanEnv("SYSTEM="+string(text), "PYTHONDONTWRITEBYTECODE=1",
		"AUTHLIB_INSECURE_TRANSPORT=1", "OAUTHLIB_INSECURE_TRANSPORT=1")
}

// runThirdParty runs a program in the folder thirdparty/DIR. For each line "allow URL" or
// "deny URL" that the program prints, a person visits the URL, and the program reads the URL of
// the callback. The program must report the wanted steps, in this order, and exit with 0.
func (s *system) runThirdParty(
	t *testing.T, algorithm string, secrets map[string]string, dir string, program []string, want ...string,
) {
	t.Helper()
	runSteps(t, s.environment(t, algorithm, secrets), dir, program, appURL, want...)
}

// runSteps is runThirdParty with an environment and a redirect URI.
func runSteps(t *testing.T, environment []string, dir string, program []string, back string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir = filepath.Join("thirdparty", dir)
	cmd.Env = environment
	cmd.WaitDelay = time.Minute
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
		if _, err := io.WriteString(stdin, john.visit(address, back, decision)+"\n"); err != nil {
			t.Fatal(err)
		}
	})
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", program, err, cmd.Stderr)
	}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Errorf("steps of %v that succeeded (-want +got):\n%s", program, diff)
	}
}

// readSteps reads the output of a program to its end, and returns the steps that succeeded.
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
			t.Errorf("the program prints %q", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return saw
}

// needNode skips a test if Node.js or the libraries are not installed.
func needNode(t *testing.T) {
	t.Helper()
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	var major int
	if _, scanErr := fmt.Sscanf(string(version), "v%d.", &major); err != nil || scanErr != nil || major < 20 {
		leftOut(t, "client libraries for JavaScript, which need Node.js 20 or newer")
	}
	for _, library := range []string{
		"openid-client", "oauth4webapi", "oidc-client-ts", "passport-openidconnect", "express", "express-session",
		"@modelcontextprotocol/sdk", "@modelcontextprotocol/conformance", "openapi-fetch", "openapi-typescript",
		"@redocly/cli",
	} {
		if _, err := os.Stat(filepath.Join("thirdparty", "node", "node_modules", library)); err != nil {
			leftOut(t, "client libraries for JavaScript, which need npm ci in deploy/e2e/thirdparty/node")
		}
	}
}

// python is the interpreter for which Debian's packages install libraries.
const python = "/usr/bin/python3"

// needPython skips a test if a module is not installed.
func needPython(t *testing.T, module, debian string) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), python, "-c", "import "+module).Run(); err != nil {
		leftOut(t, "the Python library "+module+", which needs the Debian package "+debian)
	}
}
