package kubernetes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeHasAllValues compares the table of README.md with values.yaml.
func TestReadmeHasAllValues(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			names[name] = true
		}
	}
	for _, name := range leaves("", readValues(t, filepath.Join(chartDir, "values.yaml"))) {
		if !names[name] {
			t.Errorf("README.md lacks the value %s", name)
		}
	}
}

// TestReadmeQuotesTheLogs checks that texts of logs, by which readers search the README, are those of the programs.
func TestReadmeQuotesTheLogs(t *testing.T) {
	readme := string(readFile(t, "README.md"))
	for text, file := range map[string]string{
		"the schema of the database is newer than this program": "../../shared/database/database.go",
		"keys not fetched": "../../shared/keyring/url.go",
	} {
		if !strings.Contains(readme, "`"+text+"`") {
			t.Errorf("README.md does not explain %q", text)
		}
		if !strings.Contains(string(readFile(t, file)), `"`+text) {
			t.Errorf("%s has no text %q", file, text)
		}
	}
}

// leaves returns the names of all values that are no maps; resources are one value.
func leaves(prefix string, values map[string]any) (all []string) {
	for name, value := range values {
		of, ok := value.(map[string]any)
		if !ok || len(of) == 0 || name == "resources" {
			all = append(all, prefix+name)
			continue
		}
		all = append(all, leaves(prefix+name+".", of)...)
	}
	return all
}
