package store_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

var update = flag.Bool("update", false, "write testdata/statements for the current schema")

// Servers of the previous version keep running while a new version migrates the schema. So the
// statements that each version runs are kept in testdata/statements/VERSION.sql, and must be
// valid for the current schema.
func TestStatementsOfEarlierVersionsFitTheSchema(t *testing.T) {
	files, err := filepath.Glob("testdata/statements/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/statements has no files: %v", err)
	}
	for name, open := range map[string]func(testing.TB) *store.Store{
		"SQLite":     freshSQLite,
		"PostgreSQL": freshPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, statement := range strings.Split(strings.TrimSpace(string(text)), ";\n") {
					if err := s.Prepare(t.Context(), strings.TrimSuffix(statement, ";")); err != nil {
						t.Errorf("%s: %v in\n%s", file, err, statement)
					}
				}
			}
		})
	}
}

// statementsAreKept checks that the statements that the conformance suite runs are those in the file of the current
// schema. If they differ and the schema has been released, add a migration.
func statementsAreKept(t *testing.T, schema int64, statements []string) {
	got := strings.Join(statements, ";\n") + ";\n"
	file := fmt.Sprintf("testdata/statements/%05d.sql", schema)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), ";\n"), strings.Split(got, ";\n")); diff != "" {
		t.Errorf("statements differ from %s (-kept +run); 'go test -run TestSQLite -update' writes them:\n%s", file, diff)
	}
}
