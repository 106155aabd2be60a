package mail_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
