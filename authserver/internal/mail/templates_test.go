package mail_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/mail"
)

// A folder replaces some of the templates. What cannot be used is refused at the start, by name.
func TestLoadTemplates(t *testing.T) {
	t.Parallel()
	const name = "reset_password.txt"
	for _, tt := range []struct {
		text string
		says string // empty: it can be used
	}{
		{"Subject: New password\n\nHello {{.Name}}, go to {{.Link}}\n", ""},
		{"Subject: New password\r\n\r\nHello\r\n", ""},
		{"Hello {{.Name}}\n", `"Subject: "`},
		{"Subject:\n\nHello\n", `"Subject: "`},
		{"Subject: Hello\n", "no text"},
		{"Subject: Hello\n\n{{.Password}}\n", "Password"},
		{"Subject: Hello\n\n{{if}}\n", "if"},
		{"Subject: Hello\n\n" + strings.Repeat("x", 70_000), "65536"},
		{"", `"Subject: "`},
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := mail.LoadTemplates(folder)
		if tt.says == "" && err != nil {
			t.Errorf("%.60q: %v", tt.text, err)
		}
		if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), name)) {
			t.Errorf("%.60q: got error %v, want one with the file and %q", tt.text, err, tt.says)
		}
	}
	if _, err := mail.LoadTemplates(t.TempDir()); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := mail.LoadTemplates(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that does not exist is accepted")
	}
}

// Each text has a translation in each language, with the same values. A file for one language, or for all, replaces it.
func TestTemplatesInEveryLanguage(t *testing.T) {
	t.Parallel()
	value := regexp.MustCompile(`\{\{[^}]*\}\}`)
	valuesOf := func(path string) []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			return nil
		}
		found := slices.Sorted(slices.Values(value.FindAllString(string(text), -1)))
		return slices.Compact(found)
	}
	names, err := filepath.Glob("templates/*.txt")
	if err != nil || len(names) < 14 {
		t.Fatalf("%d texts, error %v", len(names), err)
	}
	for _, language := range catalog.Languages[1:] {
		found, err := filepath.Glob("templates/" + language + "/*")
		if err != nil || len(found) != len(names) {
			t.Errorf("%s has %d texts, want %d: one for each mail", language, len(found), len(names))
		}
		for _, name := range names {
			path := filepath.Join("templates", language, filepath.Base(name))
			if diff := cmp.Diff(valuesOf(name), valuesOf(path)); diff != "" {
				t.Errorf("%s has other values (-%s +%s):\n%s", path, name, path, diff)
			}
		}
	}
}

// A folder has texts for one language or for all.
func TestTemplatesOfOneLanguage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sign_up.txt", "Subject: For all\n\nHello\n")
	write("de/sign_up.txt", "Subject: Nur auf Deutsch\n\nGuten Tag\n")
	templates, err := mail.LoadTemplates(folder)
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{"en": "For all", "ko": "For all", "de": "Nur auf Deutsch"} {
		if got, err := templates.SampleSubject(language, mail.SignUp); err != nil || got != want {
			t.Errorf("%s: got %q and error %v, want %q", language, got, err, want)
		}
	}
	if got, err := templates.SampleSubject("de", mail.Invitation); got != "Einladung zu login.example.com" {
		t.Errorf("got %q and error %v, want the built-in text", got, err)
	}
	write("ko/invitation.txt", "no subject")
	_, err = mail.LoadTemplates(folder)
	if err == nil || !strings.Contains(err.Error(), filepath.Join("ko", "invitation.txt")) {
		t.Errorf("got error %v, want one that names the file", err)
	}
}
