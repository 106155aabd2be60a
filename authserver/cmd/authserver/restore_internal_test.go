package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/keyfile"
)

// startCopy makes a copy beside a database of a folder, and returns it with the path of that.
func startCopy(t *testing.T, folder string) (next *nextDatabase, target string) {
	t.Helper()
	from := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(from, []byte("copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	target = filepath.Join(folder, "hallpass.db")
	next, err := copyBeside(from, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.discard)
	return next, target
}

// A file that another user puts in the place of the copy keeps its owner, its mode and its place.
func TestRestoreSwappedCopy(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	like := filepath.Join(t.TempDir(), "like")
	if err := os.WriteFile(like, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	previous, err := os.Stat(like)
	if err != nil {
		t.Fatal(err)
	}
	for name, swap := range map[string]func(next *nextDatabase) error{
		"file": func(next *nextDatabase) error {
			return errors.Join(os.Remove(next.path), os.Symlink(other, next.path))
		},
		"folder": func(next *nextDatabase) error {
			folder := filepath.Dir(next.path)
			return errors.Join(os.Rename(folder, folder+".away"), os.Symlink(filepath.Dir(other), folder))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, target := startCopy(t, t.TempDir())
			if err := errors.Join(swap(next), next.keep(previous)); err != nil {
				t.Fatal(err)
			}
			if err := next.install(true); err == nil {
				t.Error("another file was put in place")
			}
			next.discard()
			if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the other file: %v, %v, want mode 600", info, err)
			}
			if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the database: %v, want none", err)
			}
		})
	}
}

// A database that a server makes while the copy is prepared is kept, with what is beside it.
func TestRestoreMadeMeanwhile(t *testing.T) {
	t.Parallel()
	next, target := startCopy(t, t.TempDir())
	for _, path := range []string{target, target + "-wal"} {
		if err := os.WriteFile(path, []byte("server"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.install(false); !errors.Is(err, keyfile.ErrExists) {
		t.Errorf("error %v, want keyfile.ErrExists", err)
	}
	for _, path := range []string{target, target + "-wal"} {
		if text, err := os.ReadFile(path); string(text) != "server" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}

// Where there was no database, the owner of the folder gets the new one. Only root can give files away.
func TestRestoreOwner(t *testing.T) {
	t.Parallel()
	user, group := 12345, 12345
	if os.Geteuid() != 0 {
		user, group = os.Getuid(), os.Getgid()
	}
	folder := t.TempDir()
	if err := os.Chown(folder, user, group); err != nil {
		t.Fatal(err)
	}
	next, target := startCopy(t, folder)
	if err := errors.Join(next.keep(nil), next.install(false)); err != nil {
		t.Fatal(err)
	}
	next.discard()
	info, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != user || int(owner.Gid) != group || info.Mode().Perm() != 0o600 || owner.Nlink != 1 {
		t.Errorf("the new database is %v of %+v", info.Mode(), owner)
	}
	if all := names(t, folder); len(all) != 1 {
		t.Errorf("the folder has %v, want the database", all)
	}
}
