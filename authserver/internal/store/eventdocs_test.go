package store_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every event that the store records is in the table of deploy/docs/audit.md.
func TestEventsAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../../deploy/docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	recorded := regexp.MustCompile(`auditAdmin\(ctx, tx, "([a-z_]+)"`)
	events := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range recorded.FindAllStringSubmatch(string(source), -1) {
			events++
			if !strings.Contains(string(docs), "`"+match[1]+"`") {
				t.Errorf("%s records %s, which is not in audit.md", file, match[1])
			}
		}
	}
	if events < 10 {
		t.Errorf("found only %d events: does auditAdmin have another name?", events)
	}
}
