package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
)

// testNames returns the names of all tests and fuzz targets of the project.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range testFunction.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// maxSecurityPage is the length of SECURITY.md, in lines, that people can be asked to read.
const maxSecurityPage = 250

// Each claim of SECURITY.md, a row of a table or an item about what is not protected, names tests that exist, or says
// that it has none.
func TestSecurityClaims(t *testing.T) {
	t.Parallel()
	text := readProject(t, "SECURITY.md")
	names := testNames(t)
	for _, found := range namedTest.FindAllStringSubmatch(text, -1) {
		if !names[found[1]] {
			t.Errorf("SECURITY.md names %s, which does not exist", found[1])
		}
	}
	if n := strings.Count(text, "\n"); n > maxSecurityPage {
		t.Errorf("SECURITY.md has %d lines, more than %d", n, maxSecurityPage)
	}
	_, unprotected, _ := strings.Cut(text, "\n## What is not protected\n")
	claims := strings.Split(unprotected, "\n- ")[1:]
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| --- ") && !strings.HasSuffix(line, "| Tests |\n") {
			cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), " |"), " | ")
			claims = append(claims, cells[len(cells)-1])
		}
	}
	const least = 50
	if len(claims) < least {
		t.Fatalf("SECURITY.md has %d claims: this test no longer finds them", len(claims))
	}
	for _, claim := range claims {
		if !namedTest.MatchString(claim) && !strings.Contains(strings.ToLower(claim), "no test") {
			t.Errorf("a claim of SECURITY.md names no test, and does not say so: %s", claim)
		}
	}
}
