package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// smallDisk is a system whose database is on a small file system.
type smallDisk struct {
	*system
	app      app
	dir      string
	size     int                  // of the file system, in bytes
	postgres *postgrestest.Server // nil with SQLite
}

// sqliteOnSmallDisk starts a system whose SQLite file is on a small file system.
func sqliteOnSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := mountSmallDisk(t, 16<<20)
	d.database = "sqlite:" + filepath.Join(d.dir, "hallpass.db")
	d.start(t)
	return d
}

// postgresOnSmallDisk starts a system whose PostgreSQL is on a small file system.
func postgresOnSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := mountSmallDisk(t, 64<<20)
	d.database = postgrestest.Database(t, func() (*postgrestest.Server, error) {
		var err error
		if d.postgres, err = postgrestest.NewOn(d.dir); err == nil {
			t.Cleanup(func() {
				if err := d.postgres.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		return d.postgres, err
	})
	d.start(t)
	return d
}

// mountSmallDisk mounts a file system of a size in bytes. It is gone at the end of the test.
func mountSmallDisk(t *testing.T, size int) *smallDisk {
	t.Helper()
	d := &smallDisk{system: newSystem(t), dir: openFolder(t), size: size}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=1777", size)); err != nil {
		leftOut(t, "a small file system, which needs root: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) }) // it goes with the last process
	return d
}

// start starts both servers.
func (d *smallDisk) start(t *testing.T) {
	t.Helper()
	d.startAuthserver(t, "--demo", "--refresh-grace", fleetGrace.String())
	d.startResourceserver(t)
	d.app = d.register(t, "disk", "https://app.example/callback", "--first-party", "--grant", "password")
}

// TestFullDisk fills the disk of a database while clients use the servers, and frees it.
func TestFullDisk(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *smallDisk{
		"SQLite":     sqliteOnSmallDisk,
		"PostgreSQL": postgresOnSmallDisk,
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			for range 2 {
				t.Log(d.fillAndFree(t))
			}
			code := "database or disk is full"
			if d.postgres != nil {
				code = "SQLSTATE 53100"
			}
			if !strings.Contains(d.authserver.output.String(), code) {
				t.Errorf("the log of the authorization server does not say %q", code)
			}
		})
	}
}

// fillAndFree fills the disk until logins get 503, and frees it. Meanwhile, all API calls succeed. Afterwards logins
// succeed again, and what got 200 is there. It returns the numbers of responses.
//
// PostgreSQL refuses to add to a table then. It ends all connections, and perhaps itself, when it cannot write its WAL.
func (d *smallDisk) fillAndFree(t *testing.T) string {
	t.Helper()
	u := d.use(t)
	ballast := filepath.Join(d.dir, "ballast")
	fillDisk(t, ballast)
	u.await(t, 3, func() {}, http.StatusServiceUnavailable)
	if d.postgres != nil {
		d.overflowWAL(t)
		u.await(t, 10, func() {}, http.StatusOK, http.StatusServiceUnavailable)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	u.await(t, 3, func() { d.startDatabase(t) }, http.StatusOK)
	u.stop(t)
	return u.String()
}

// overflowWAL makes PostgreSQL write more WAL than the disk holds, until it panics. On a disk that is so full that a
// new connection has no room, it refuses that instead.
func (d *smallDisk) overflowWAL(t *testing.T) {
	t.Helper()
	waitFor(t, "PostgreSQL to give up", func() bool {
		err := d.postgres.Run("psql", "-d", d.database, "-c",
			fmt.Sprintf("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', %d))", d.size))
		return err != nil && !strings.Contains(err.Error(), "ERROR:") // that would be of this statement alone
	})
}

// startDatabase starts PostgreSQL again if it has ended, as an administrator would.
func (d *smallDisk) startDatabase(t *testing.T) {
	t.Helper()
	if d.postgres == nil || d.postgres.Running() {
		return
	}
	t.Log("PostgreSQL has ended itself")
	if err := d.postgres.Start(); err != nil {
		t.Fatal(err)
	}
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
