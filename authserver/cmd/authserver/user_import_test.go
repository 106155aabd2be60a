package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/postgrestest"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

// An import that was killed is finished by a second one of the same file, which changes no user of the first.
func TestKilledImport(t *testing.T) {
	t.Parallel()
	for engine, newDatabase := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + storetest.SQLite(t) },
		"PostgreSQL": func(t *testing.T) string { return postgrestest.Database(t, postgres) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			data, err := store.Open(t.Context(), url, databasetest.Pool)
			if err != nil {
				t.Fatal(err)
			}
			defer data.Close()
			if _, err := data.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			const users = 5000
			file := importFile(users)
			killImport(t, url, file, func() bool { return len(usersOf(t, data)) >= 500 })
			before := usersOf(t, data)
			if len(before) >= users {
				t.Fatalf("the import was not killed in the middle: %d users", len(before))
			}
			path := filepath.Join(t.TempDir(), "users.csv")
			if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			output, err := importCommand(t, url, path).Output()
			want := fmt.Sprintf("csv: %d users imported, %d already there, 0 refused\n", users-len(before), len(before))
			if err != nil || string(output) != want {
				t.Errorf("the second import: %s, %v; want %s", output, err, want)
			}
			after := usersOf(t, data)
			if len(after) != users {
				t.Errorf("%d users, want %d", len(after), users)
			}
			for name, id := range before {
				if after[name] != id {
					t.Errorf("%s was %s and is now %s", name, id, after[name])
				}
			}
		})
	}
}

// importFile returns a CSV file of users, every second with an id.
func importFile(users int) string {
	var b strings.Builder
	const hash = "$2b$10$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC"
	b.WriteString("username,email,email_verified,id,password_hash\n")
	for i := range users {
		id := ""
		if i%2 == 0 {
			id = fmt.Sprint(i)
		}
		fmt.Fprintf(&b, "user%05d,user%05d@example.com,true,%s,%s\n", i, i, id, hash)
	}
	return b.String()
}

// importCommand returns the command that imports a file.
func importCommand(t *testing.T, url, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{
		Path: self, Args: []string{"authserver", "user", "import", path, "--database-url", url},
		Env: append(os.Environ(), "GORACE="+noRaceSleep),
	}
}

// killImport imports a file and kills the process as soon as done returns true. The process never gets the last line.
func killImport(t *testing.T, url, file string, done func() bool) {
	t.Helper()
	cmd := importCommand(t, url, "-")
	var output bytes.Buffer
	cmd.Stderr = &output
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() {
		_, _ = io.WriteString(in, file[:len(file)-50]) // fails once the process is killed
		exited <- cmd.Wait()
	}()
	for deadline := time.Now().Add(waitTimeout); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: %s", &output)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := <-exited; !errors.As(err, &killed) {
		t.Fatalf("the import ended with %v: %s", err, &output)
	}
}

// usersOf returns the ids of all users by username.
func usersOf(t *testing.T, data *store.Store) map[string]string {
	t.Helper()
	users, err := data.Users(t.Context(), record.Page{})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, u := range users {
		ids[u.Username] = u.ID
	}
	return ids
}
