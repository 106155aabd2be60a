package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// cliExample is the program of deploy/examples/cli with its file of tokens.
type cliExample struct {
	s       *system
	program string
	tokens  string
}

func buildCLI(t *testing.T, s *system) cliExample {
	t.Helper()
	dir := t.TempDir()
	c := cliExample{s: s, program: filepath.Join(dir, "cli"), tokens: filepath.Join(dir, "settings", "tokens.json")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", c.program, "./deploy/examples/cli")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return c
}

// command returns a command of the program.
func (c cliExample) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	flags := []string{"-issuer", c.s.authURL, "-api", c.s.apiURL, "-tokens", c.tokens}
	cmd := exec.CommandContext(t.Context(), c.program, append(flags, args...)...)
	cmd.Env = cleanEnv()
	return cmd
}

// run runs a command of the program and returns what it printed.
func (c cliExample) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := c.command(t, args...).CombinedOutput()
	return string(out), err
}

// get calls the API, which must respond with the user's name.
func (c cliExample) get(t *testing.T) {
	t.Helper()
	if out, err := c.run(t, "get", "/users/me"); err != nil || !strings.Contains(out, "John Doe") {
		t.Errorf("cli get: %v\n%s", err, out)
	}
}

// stored returns the tokens in the file, which only its user may read.
func (c cliExample) stored(t *testing.T) (stored map[string]any) {
	t.Helper()
	info, err := os.Stat(c.tokens)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the tokens has the mode %v, want 0600", info.Mode())
	}
	text, err := os.ReadFile(c.tokens)
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// age makes the program believe that its access token has expired.
func (c cliExample) age(t *testing.T) {
	t.Helper()
	stored := c.stored(t)
	stored["expiry"] = time.Now().Add(-time.Hour)
	text, err := json.Marshal(stored)
	if err == nil {
		err = os.WriteFile(c.tokens, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// connect opens an address of the device page, logs in where it is asked to, and decides. It returns the
// last page.
func (p *person) connect(address, decision string) string {
	p.t.Helper()
	next := p.request(http.MethodGet, address, nil)
	for range maxPages {
		location, body := p.send(next)
		switch {
		case location != "":
			next = p.request(http.MethodGet, location, nil)
		case strings.Contains(body, "<form"):
			next = p.fillIn(next.URL, body, decision)
		default:
			return body
		}
	}
	p.t.Fatalf("after %d pages the browser is at %s", maxPages, next.URL)
	return ""
}

// logIn runs the login command and approves or denies it as John Doe.
func (c cliExample) logIn(t *testing.T, decision string) (code int, output string) {
	t.Helper()
	p := launch(t, "cli login", c.command(t, "login"))
	page := regexp.MustCompile(`or open (http\S+user_code=\S+)\n`)
	waitFor(t, "the code", func() bool { return page.MatchString(p.output.String()) }, p)
	newPerson(t, "john.doe", demoPassword).connect(page.FindStringSubmatch(p.output.String())[1], decision)
	return p.wait(t), p.output.String()
}

// tokenRequests returns how many token requests the server has logged.
func (c cliExample) tokenRequests() int {
	return c.s.tokenRequests()
}

// The example logs in by the device grant, calls the API, refreshes from ten processes at once, and logs out.
func TestExampleCLI(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	s.registerDevice(t, "cli", "Example CLI", "profile items:read")
	c := buildCLI(t, s)
	if out, err := c.run(t, "get", "/users/me"); err == nil || !strings.Contains(out, "you are not logged in") {
		t.Errorf("before the login: %v\n%s", err, out)
	}
	if code, out := c.logIn(t, "deny"); code == 0 || !strings.Contains(out, "access_denied") {
		t.Errorf("a denied login exits with %d:\n%s", code, out)
	}
	if code, out := c.logIn(t, "allow"); code != 0 || !strings.Contains(out, "You are logged in.") {
		t.Fatalf("the login exits with %d:\n%s", code, out)
	}
	c.get(t)

	t.Log("ten processes at once refresh once")
	before, first := c.tokenRequests(), c.stored(t)["refresh_token"]
	c.age(t)
	var processes sync.WaitGroup
	for range 10 {
		processes.Go(func() { c.get(t) })
	}
	processes.Wait()
	if n := c.tokenRequests() - before; n != 1 {
		t.Errorf("there were %d token requests, want 1", n)
	}
	if c.stored(t)["refresh_token"] == first {
		t.Error("the refresh token was not replaced")
	}

	t.Log("two machines with a copy of the file, which no lock helps, get the same tokens within the grace period")
	copied := c
	copied.tokens = filepath.Join(t.TempDir(), "tokens.json")
	c.age(t)
	if text, err := os.ReadFile(c.tokens); err != nil || os.WriteFile(copied.tokens, text, 0o600) != nil {
		t.Fatal(err)
	}
	c.get(t)
	copied.get(t)
	if one, two := c.stored(t)["refresh_token"], copied.stored(t)["refresh_token"]; one != two {
		t.Error("they have different refresh tokens")
	}

	if err := os.Chmod(c.tokens, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := c.run(t, "get", "/users/me"); err == nil || !strings.Contains(out, "others can read") {
		t.Errorf("with a file that others can read: %v\n%s", err, out)
	}
	if err := os.Chmod(c.tokens, 0o600); err != nil {
		t.Fatal(err)
	}
	c.logOut(t, copied)
}

// logOut logs out. The tokens in the copy of the file are of no use then.
func (c cliExample) logOut(t *testing.T, copied cliExample) {
	t.Helper()
	for range 2 { // logging out again does nothing
		if out, err := c.run(t, "logout"); err != nil {
			t.Fatalf("cli logout: %v\n%s", err, out)
		}
	}
	if _, err := os.Stat(c.tokens); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the tokens: %v", err)
	}
	var out string
	waitFor(t, "the API to refuse the token", func() bool {
		var err error
		out, err = copied.run(t, "get", "/users/me")
		return err != nil
	}, c.s.resourceserver)
	if !strings.Contains(out, "you are not logged in") {
		t.Errorf("a copy of the tokens: %s", out)
	}
}
