package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDiskSize is the size of the file system of smallDisk, in bytes.
const smallDiskSize = 16 << 20

// smallDisk is a server whose database is in a SQLite file on a small file system.
type smallDisk struct {
	*system
	app app
	dir string
}

// startOnSmallDisk starts the server.
func startOnSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := &smallDisk{system: newSystem(t), dir: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDiskSize)); err != nil {
		t.Fatalf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) }) // it goes with the last process
	d.database = "sqlite:" + filepath.Join(d.dir, "hallpass.db")
	d.startAuthserver(t, "--demo", "--bcrypt-cost", "10")
	d.app = d.register(t, "disk", "https://app.example/callback", "--grant", "password")
	return d
}

// fillAndFree fills the disk until a login gets 503, and frees it. Then every login works that got 200. It returns how
// many did and did not while the disk was full.
func (d *smallDisk) fillAndFree(t *testing.T) string {
	t.Helper()
	ballast := filepath.Join(d.dir, "ballast")
	fillDisk(t, ballast)
	var begun []tokens
	refused := 0
	waitFor(t, "a login to fail", func() bool {
		got := send(t, d.authURL, d.login())
		switch {
		case got.status == http.StatusOK:
			begun = append(begun, got.tokens(t))
		case got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "":
			refused++
		default:
			t.Fatalf("a login with a full disk: %d %s, want 503 with Retry-After", got.status, got.body)
		}
		return refused > 2
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	login := untilServed(t, "a login", func() (response, error) { return try(t.Context(), d.authURL, d.login()) })
	for i, login := range append(begun, login.tokens(t)) {
		r := untilServed(t, "a refresh", func() (response, error) {
			return try(t.Context(), d.authURL, d.app.refreshing(login.refresh))
		})
		if r.status != http.StatusOK {
			t.Errorf("login %d got 200, and its refresh %d %s", i, r.status, r.body)
		}
	}
	return fmt.Sprintf("%d logins 200, %d 503", len(begun), refused)
}

// login is a login with a password.
func (d *smallDisk) login() request {
	return d.app.tokenForm(url.Values{
		"grant_type": {"password"}, "username": {"john.doe"}, "password": {demoPassword},
	}, nil)
}

// fillDisk writes a file until the disk is full.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}
