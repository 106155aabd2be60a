package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// names returns the names in a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// A file has its name only when it is complete. If it cannot be written, or another program makes one of that name
// meanwhile, nothing is left beside it.
func TestCreateWhole(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for _, tt := range []struct {
		name  string
		write func(path, part string) error
		want  error
		text  string // of the file afterwards
	}{
		{"complete", func(_, part string) error { return os.WriteFile(part, []byte("all"), 0o600) }, nil, "all"},
		{"no space", func(_, part string) error {
			return errors.Join(os.WriteFile(part, []byte("ha"), 0o600), full)
		}, full, ""},
		{"other program", func(path, part string) error {
			return errors.Join(os.WriteFile(part, []byte("all"), 0o600), os.WriteFile(path, []byte("other"), 0o600))
		}, keyfile.ErrExists, "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "copy.db")
			err := createWhole(path, func(part string) error {
				if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("while the file is written: %v, want none of its name", err)
				}
				return tt.write(path, part)
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			text, _ := os.ReadFile(path)
			if all := names(t, dir); string(text) != tt.text || len(all) > 1 {
				t.Errorf("the folder has %v, and the file %q, want %q", all, text, tt.text)
			}
		})
	}
}
