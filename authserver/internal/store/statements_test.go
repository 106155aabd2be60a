package store_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

var update = flag.Bool("update", false, "rewrite testdata/statements for the present schema")

// Servers of the version before go on working while a new version migrates the schema
// under them. So every statement that the code of any schema version runs is kept in
// testdata/statements/VERSION.sql, and must still fit the schema of now.
func TestStatementsOfEarlierVersionsFitTheSchema(t *testing.T) {
	files, err := filepath.Glob("testdata/statements/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no statements are kept: %v", err)
	}
	for name, open := range map[string]func(testing.TB) *store.Store{"SQLite": freshSQLite, "PostgreSQL": freshPostgres} {
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

// What the conformance suite makes the code of now run is what is kept for the present
// schema. Where it differs, and the schema is one that was released, write a migration.
func TestStatementsAreKept(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	version := int64(0)
	storetest.Run(t, func(t testing.TB) *store.Store {
		path := filepath.Join(t.TempDir(), "hallpass.db")
		migrated, err := store.Open(t.Context(), "sqlite:"+path, store.Pool{})
		if err != nil {
			t.Fatal(err)
		}
		if version, err = migrated.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := migrated.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := store.OpenRecording(t.Context(), path, func(query string) {
			mu.Lock()
			defer mu.Unlock()
			seen[strings.TrimSpace(query)] = true
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
	maps.DeleteFunc(seen, func(query string, _ bool) bool { return strings.Contains(query, "goose") }) // the migrations' own
	got := strings.Join(slices.Sorted(maps.Keys(seen)), ";\n") + ";\n"
	file := fmt.Sprintf("testdata/statements/%05d.sql", version)
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
		t.Errorf("statements differ from %s (-kept +run); go test -update keeps them:\n%s", file, diff)
	}
}
