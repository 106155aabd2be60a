package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The API's description of itself is checked by a validator, and its operations are called by clients that are
// generated from it, all of other projects.

// operations are the operations of an API that stores items. The generated clients call each.
var operations = []string{
	"GET /users/me",
	"GET /items/{item_id}",
	"PUT /items/{item_id}",
	"PATCH /items/{item_id}",
	"POST /items",
	"GET /items",
	"DELETE /items/{item_id}",
	"GET /admin/items",
	"GET /admin/items/{owner}/{item_id}",
	"PUT /admin/items/{owner}/{item_id}",
	"PATCH /admin/items/{owner}/{item_id}",
	"DELETE /admin/items/{owner}/{item_id}",
}

// described is an API that stores items, and a file with its description.
type described struct {
	*system
	file string
}

// startDescribed starts both servers. The API stores items.
func startDescribed(t *testing.T) described {
	t.Helper()
	s := startWithItems(t)
	got := send(t, s.apiURL, get("/openapi.json"))
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, []byte(got.body), 0o600); err != nil {
		t.Fatal(err)
	}
	return described{s, file}
}

// startWithItems starts both servers, and adds the administrator ada. The API stores items.
func startWithItems(t *testing.T) *system {
	t.Helper()
	s := newSystem(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t, "--items-database-url", "sqlite:"+filepath.Join(t.TempDir(), "items.db"))
	t.Cleanup(func() {
		for _, p := range []*process{s.authserver, s.resourceserver} {
			if p.running() {
				p.stop(t)
			}
			checkNoSecrets(t, p)
		}
	})
	s.admin(t, adaPassword, "user", "add", "ada", "--name", "Ada Lovelace", "--group", "admins")
	return s
}

const adaPassword = "correct horse battery"

// run runs a program with the API's address and a token of ada, and checks that it calls all operations.
func (d described) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	secret := strings.TrimSpace(d.admin(t, "", "client", "add", "generated", "--grant", "password",
		"--scope", "profile groups items:write items:admin"))
	login := send(t, d.authURL, form("grant_type", "password", "username", "ada", "password", adaPassword,
		"client_id", "generated", "client_secret", secret))
	var users []struct{ ID, Username string }
	if err := json.Unmarshal([]byte(d.admin(t, "", "user", "list", "--json")), &users); err != nil {
		t.Fatal(err)
	}
	ada := slices.IndexFunc(users, func(u struct{ ID, Username string }) bool { return u.Username == "ada" })
	cmd.Env = append(cmd.Environ(), "API="+d.apiURL, "TOKEN="+login.text(t, "access_token"), "OWNER="+users[ada].ID)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, operation := range operations {
		if !strings.Contains(string(out), "saw "+operation+"\n") {
			t.Errorf("the client did not call %s", operation)
		}
	}
}

// nodeTool returns a command of a tool that npm has installed.
func nodeTool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join("node_modules", ".bin", name), args...)
	cmd.Dir = filepath.Join("thirdparty", "node")
	return cmd
}

// Redocly finds nothing to complain about in the description, by its recommended rules.
func TestOpenAPIByRedocly(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	d := startDescribed(t)
	cmd := nodeTool(t, "redocly", "lint", "--max-problems=100", d.file)
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning was") || strings.Contains(string(out), "Warning was") {
		t.Errorf("%v\n%s", err, out)
	}
	// All operations that the clients call are there, and no others.
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, methods := range document.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	want := slices.Sorted(slices.Values(operations))
	if slices.Sort(described); !slices.Equal(described, want) {
		t.Errorf("operations %q, want %q", described, want)
	}
}

// openapi-typescript generates types, by which the TypeScript compiler checks a program, and openapi-fetch calls
// every operation.
func TestItemsByOpenAPIFetch(t *testing.T) {
	longTest(t)
	t.Parallel()
	needNode(t)
	d := startDescribed(t)
	folder := filepath.Join(t.TempDir(), "client")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs(filepath.Join("thirdparty", "node", "node_modules"))
	if err == nil {
		err = os.Symlink(modules, filepath.Join(folder, "node_modules"))
	}
	if err == nil {
		err = copyFile(folder, filepath.Join("thirdparty", "node"), "items.js", 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "package.json"), []byte(`{"type":"module"}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{
		nodeTool(t, "openapi-typescript", d.file, "--output", filepath.Join(folder, "items-schema.d.ts")),
		nodeTool(t, "tsc", "--noEmit", "--strict", "--checkJs", "--skipLibCheck", "--module", "nodenext",
			"--target", "es2022", filepath.Join(folder, "items.js")),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd.Args, err, out)
		}
	}
	program := exec.CommandContext(t.Context(), "node", "items.js")
	program.Dir = folder
	d.run(t, program)
}

// oapi-codegen generates a Go client, by which a program calls every operation.
func TestItemsByOAPICodegen(t *testing.T) {
	longTest(t)
	t.Parallel()
	d := startDescribed(t)
	folder := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		if err := copyFile(folder, filepath.Join("testdata", "itemsclient"), name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GOWORK=off")
		return cmd
	}
	if out, err := tool("mod", "download").CombinedOutput(); err != nil {
		leftOut(t, "a client that oapi-codegen generates, whose modules cannot be downloaded: "+string(out))
	}
	generate := tool("tool", "oapi-codegen", "-package", "main", "-generate", "types,client", "-o", "client.go", d.file)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	build := tool("build", "-buildvcs=false", "-o", "itemsclient", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.run(t, exec.CommandContext(t.Context(), filepath.Join(folder, "itemsclient")))
}
