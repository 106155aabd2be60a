package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// conformancePage has the results of the suites of @modelcontextprotocol/conformance.
const conformancePage = docs + "/mcp-conformance.md"

// conformanceNode returns a Node.js that is new enough for the package.
func conformanceNode(t *testing.T) string {
	t.Helper()
	needNode(t)
	version, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major int
	if _, err := fmt.Sscanf(string(version), "v%d.", &major); err == nil && major >= 22 {
		return "node"
	}
	arch := strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	path, err := filepath.Abs("thirdparty/node/node_modules/node-" + runtime.GOOS + "-" + arch + "/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		leftOut(t, "the conformance suites of MCP, which need Node.js 22 or newer")
	}
	return path
}

// runConformance runs a suite, and returns the result of each scenario, as readConformance. It calls open for
// each URL that the suite wants to be opened in a browser.
func runConformance(t *testing.T, suite string, open func(address string), args ...string) map[string]string {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, conformanceNode(t), append([]string{
		"thirdparty/node/node_modules/@modelcontextprotocol/conformance/dist/index.js", suite, "--output-dir", folder,
	}, args...)...)
	cmd.Env = cleanEnv()
	all := &output{}
	cmd.Stderr = all
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(all, lines.Text())
		if strings.HasPrefix(lines.Text(), "http://") {
			open(lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it fails if a scenario fails
	results := readConformance(t, folder)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of the suite %s:\n%s", suite, all)
		}
	})
	return results
}

// scenarioFolder matches the folder of the results of a scenario.
var scenarioFolder = regexp.MustCompile(`^(?:authorization-server|server)-(.+?)-\d{4}-\d\d-\d\dT`)

// readConformance reads the results of a suite: how many checks of each scenario succeeded, of how many. A check of
// all messages, which does not depend on the scenario, counts only if it fails.
func readConformance(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for _, file := range files {
		name := scenarioFolder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		text, err := os.ReadFile(file)
		if err != nil || name == nil {
			t.Fatalf("%s: %v", file, err)
		}
		var checks []struct{ ID, Status string }
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatal(err)
		}
		passed, all := 0, 0
		for _, c := range checks {
			switch {
			case c.Status == "SUCCESS" && c.ID != "wire-schema-valid":
				passed, all = passed+1, all+1
			case c.Status == "FAILURE" || c.Status == "WARNING":
				all++
			}
		}
		results[name[1]] = fmt.Sprintf("%d of %d", passed, all)
	}
	return results
}

// conformanceRow matches a row of a table of conformancePage: scenario, result, checks.
var conformanceRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z ]+) \\| (\\d+) of (\\d+) \\|")

// The results of the suites for authorization servers and for MCP servers, against Hallpass and its example, are
// those that the page says.
func TestMCPConformance(t *testing.T) {
	longTest(t)
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, conformancePage))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, row := range conformanceRow.FindAllStringSubmatch(string(text), -1) {
		want[row[1]] = row[3] + " of " + row[4]
		if all := row[3] == row[4] && row[4] != "0"; all != (row[2] == "passed") {
			t.Errorf("%s: %s, but %s", row[1], row[2], want[row[1]])
		}
	}
	run := startMCP(t)
	got := run.authorizationSuite(t)
	maps.Copy(got, run.serverSuite(t))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-page +suites):\n%s", diff)
	}
}

// authorizationSuite runs the suite for authorization servers, as a client with a metadata document.
func (run *mcpRun) authorizationSuite(t *testing.T) map[string]string {
	t.Helper()
	john := newPerson(t, "john.doe", demoPassword)
	address := freeAddresses(t, 1)[0]
	id := run.documents.client("/conformance.json", map[string]any{
		"redirect_uris": []string{"http://127.0.0.1/callback"},
	})
	_, port, _ := strings.Cut(address, ":")
	return runConformance(t, "authorization", func(authorize string) {
		resp, err := http.Get(john.visit(authorize, "http://"+address+"/callback", "allow"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}, "--url", run.authURL, "--client-id", id, "--port", port)
}

// serverSuite runs the suite for MCP servers. It cannot log in: a proxy adds an access token to its requests.
func (run *mcpRun) serverSuite(t *testing.T) map[string]string {
	t.Helper()
	id := run.documents.client("/proxy.json", nil)
	status, tokens := run.token(t, run.authorize(t, id, "notes:read", "notes:write"), "")
	access, ok := tokens["access_token"].(string)
	if !ok {
		t.Fatalf("status %d %v", status, tokens)
	}
	target, err := url.Parse(run.mcpURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host})
		r.Out.Host = r.In.Host // which the suite forges
		r.Out.Header.Set("Authorization", "Bearer "+access)
	}})
	defer proxy.Close()
	return runConformance(t, "server", func(string) {}, "--url", proxy.URL+target.Path, "--suite", "all")
}
