// Package authserver_test holds the house to its plan: which room may know what.
package authserver_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "github.com/hallpass-auth/hallpass/"
	library = "github.com/go-oauth2/oauth2/v4"
)

// room is a package of this module, with what it imports outside of its tests.
type room struct {
	ImportPath string
	Imports    []string
}

// name is the path of the room within the module.
func (r room) name() string { return strings.TrimPrefix(r.ImportPath, module+"authserver/") }

// imports reports whether the room imports a package, or one below it.
func (r room) imports(path string) bool {
	return slices.ContainsFunc(r.Imports, func(imported string) bool { return within(imported, path) })
}

// within reports whether a package is the one of this path, or one below it.
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

func rooms(t *testing.T) []room {
	t.Helper()
	var all []room
	for d := json.NewDecoder(strings.NewReader(goList(t, "-json=ImportPath,Imports", "./..."))); ; {
		var r room
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// What one room alone knows. A room is left when the knowledge of it has spread.
func TestEachThingIsKnownInOneRoom(t *testing.T) {
	for path, home := range map[string]string{
		library:                       "internal/issuing",
		"database/sql":                "internal/store",
		"modernc.org/sqlite":          "internal/store",
		"github.com/jackc/pgx/v5":     "internal/store",
		"github.com/pressly/goose/v3": "internal/store",
		"golang.org/x/crypto/bcrypt":  "internal/account",
		"github.com/gorilla/mux":      "internal/web",
		"html/template":               "internal/web",
	} {
		known := false
		for _, r := range rooms(t) {
			switch {
			case !r.imports(path):
			case r.name() == home:
				known = true
			default:
				t.Errorf("%s imports %s, which is for %s alone", r.name(), path, home)
			}
		}
		if !known {
			t.Errorf("%s does not import %s: this test is out of date", home, path)
		}
	}
}

// The domain knows neither how it is stored nor how it is asked for, and nothing knows
// the room that it is used in.
func TestRoomsLookOneWay(t *testing.T) {
	domain := []string{"internal/account", "internal/client", "internal/grant", "internal/resource"}
	above := map[string][]string{
		"internal/store":      {"internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/issuing":    {"internal/web", "internal/server"},
		"internal/revocation": {"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"},
		"internal/web":        {"internal/server"},
		"internal/server":     {"cmd"},
	}
	for _, name := range domain {
		above[name] = []string{"internal/store", "internal/issuing", "internal/web", "internal/server", "net/http"}
	}
	found := 0
	for _, r := range rooms(t) {
		paths, ok := above[r.name()]
		if ok {
			found++
		}
		for _, path := range paths {
			if r.imports(path) || r.imports(module+"authserver/"+path) {
				t.Errorf("%s imports %s", r.name(), path)
			}
		}
	}
	if found != len(above) {
		t.Errorf("%d rooms of %d are there: this test is out of date", found, len(above))
	}
}

// What must not be in the program at all. The library's own manager imports its package
// generates, so that one is in the program: no room of ours uses it.
func TestWhatTheProgramIsMadeOf(t *testing.T) {
	made := strings.Fields(goList(t, "-deps", "./cmd/authserver"))
	if !slices.Contains(made, library) {
		t.Fatalf("the program is made of %d packages, and the library is none of them", len(made))
	}
	for _, path := range []string{library + "/store", module + "resourceserver", module + "shared/bearertest",
		module + "authserver/internal/store/storetest", "testing", "github.com/google/go-cmp"} {
		for _, part := range made {
			if within(part, path) {
				t.Errorf("the program contains %s", part)
			}
		}
	}
	for _, r := range rooms(t) {
		if r.imports(library+"/generates") || r.imports(library+"/store") || r.imports(module+"resourceserver") {
			t.Errorf("%s imports what it may not: %v", r.name(), r.Imports)
		}
	}
}
