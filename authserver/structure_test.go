// Package authserver_test checks which package may import what.
package authserver_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "github.com/hallpass-auth/hallpass/"
	library = "github.com/go-oauth2/oauth2/v4"
)

// pkg is a package of this module with its imports, without those of its tests.
type pkg struct {
	ImportPath string
	Imports    []string
}

// name returns the path of the package within the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"authserver/") }

// imports reports whether the package imports another one, or one below it.
func (p pkg) imports(path string) bool {
	return slices.ContainsFunc(p.Imports, func(imported string) bool { return within(imported, path) })
}

// within reports whether a package has this path, or is below it.
func within(imported, path string) bool {
	return imported == path || strings.HasPrefix(imported, path+"/")
}

// goList runs go list and returns what it prints.
func goList(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// packages returns the packages of this module.
func packages(t *testing.T) []pkg {
	t.Helper()
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(goList(t, "-json=ImportPath,Imports", "./..."))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// Some dependencies are for one package only, or for two, so that replacing one changes few packages.
func TestDependenciesOfOnePackage(t *testing.T) {
	for path, only := range map[string]string{
		library:                      "internal/issuing",
		"database/sql":               "internal/store",
		"go.yaml.in/yaml/v3":         "internal/configfile",
		"golang.org/x/crypto/bcrypt": "internal/account internal/passwordhash",
		"github.com/gorilla/mux":     "internal/web internal/adminapi",
		"html/template":              "internal/web internal/console",

		"github.com/go-webauthn/webauthn": "internal/passkey",
		"github.com/danielgtaylor/huma":   "internal/adminapi",
	} {
		used := false
		for _, p := range packages(t) {
			switch {
			case !p.imports(path):
			case slices.ContainsFunc(strings.Fields(only), func(name string) bool { return within(p.name(), name) }):
				used = true
			default:
				t.Errorf("%s imports %s, which is for %s only", p.name(), path, only)
			}
		}
		if !used {
			t.Errorf("%s does not import %s: this test is out of date", only, path)
		}
	}
}

// A reader of the grants need not know the library: one file does.
func TestLibraryIsInOneFile(t *testing.T) {
	files, err := filepath.Glob("internal/issuing/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), library) && !strings.HasSuffix(file, "_test.go") {
			found = append(found, filepath.Base(file))
		}
	}
	if !slices.Equal(found, []string{"library.go"}) {
		t.Errorf("%s is imported by %v", library, found)
	}
}

// The domain imports neither the store nor HTTP, and no package imports one that uses it.
func TestImportsGoOneWay(t *testing.T) {
	domain := []string{
		"internal/account", "internal/client", "internal/grant", "internal/jwkset", "internal/resource",
	}
	above := map[string][]string{
		"internal/outbound":  {"internal/client", "internal/store", "internal/issuing", "internal/web", "internal/server"},
		"internal/assertion": {"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/backchannel": {
			"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http",
		},
		"internal/passkey":    {"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/store":      {"internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/issuing":    {"internal/web", "internal/server"},
		"internal/revocation": {"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/keyfile":    {"internal/store", "internal/admin", "internal/web", "internal/server", "net/http"},
		"internal/configfile": {"internal/store", "internal/web", "internal/server", "net/http"},
		"internal/admin":      {"internal/configfile", "internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/web":        {"internal/server"},
		"internal/doctor":     {"internal/server", "internal/store"},
		"internal/server":     {"cmd", "authtest"},
	}
	for _, name := range domain {
		above[name] = []string{"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"}
	}
	found := 0
	for _, p := range packages(t) {
		paths, ok := above[p.name()]
		if ok {
			found++
		}
		for _, path := range paths {
			if p.imports(path) || p.imports(module+"authserver/"+path) {
				t.Errorf("%s imports %s", p.name(), path)
			}
		}
	}
	if found != len(above) {
		t.Errorf("%d of %d packages exist: this test is out of date", found, len(above))
	}
}

// Some packages must not be in the program. The library's own manager imports its package
// generates, so that one is, but no package of ours may use it.
func TestProgramHasNoTestCode(t *testing.T) {
	made := strings.Fields(goList(t, "-deps", "./cmd/authserver"))
	if !slices.Contains(made, library) {
		t.Fatalf("the program has %d packages, and the library is not among them", len(made))
	}
	for _, path := range []string{
		library + "/store",
		module + "resourceserver",
		module + "shared/bearertest",
		module + "authserver/authtest",
		module + "authserver/internal/store/storetest",
		"testing",
		"github.com/google/go-cmp",
	} {
		for _, part := range made {
			if within(part, path) {
				t.Errorf("the program contains %s", part)
			}
		}
	}
	for _, p := range packages(t) {
		if p.imports(library+"/generates") || p.imports(library+"/store") || p.imports(module+"resourceserver") {
			t.Errorf("%s imports what it must not: %v", p.name(), p.Imports)
		}
	}
}
