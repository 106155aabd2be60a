package console_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The console calls the operations of the admin API, and nothing behind them: it cannot do what the API cannot.
func TestConsoleCallsOnlyOperations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	const internal = "github.com/hallpass-auth/hallpass/authserver/internal/"
	operations := false
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			path, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch strings.TrimPrefix(path, internal) {
			case "adminapi":
				operations = true
			case "admin", "store", "web", "server", "issuing", "database/sql":
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if !operations {
		t.Error("no file imports the operations")
	}
}
