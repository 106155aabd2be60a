package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// backup copies the database of a system while its server runs. It returns a function that puts the copy back while it
// does not.
type backup func(t *testing.T, s *system) (putBack func())

// backUpSQLite uses the two commands.
func backUpSQLite(t *testing.T, s *system) func() {
	file := filepath.Join(t.TempDir(), "copy.db")
	s.admin(t, "", "backup", file)
	return func() { s.admin(t, "", "restore", file, "--overwrite", "--keys-file", s.keysFile) }
}

// backUpPostgres uses pg_dump and pg_restore, and then the command.
func backUpPostgres(server *postgrestest.Server) backup {
	return func(t *testing.T, s *system) func() {
		file := filepath.Join(server.Socket(), filepath.Base(t.TempDir())+s.authAddress+".dump")
		t.Cleanup(func() { _ = os.Remove(file) })
		if err := server.Run("pg_dump", "--format=custom", "--file="+file, s.database); err != nil {
			t.Fatal(err)
		}
		return func() {
			empty, err := server.Database()
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Run("pg_restore", "--exit-on-error", "--dbname="+empty, file); err != nil {
				t.Fatal(err)
			}
			s.database = empty
			s.admin(t, "", "restore", "--new-epoch", "--keys-file", s.keysFile)
		}
	}
}

// A backup is made under logins, refreshes and revocations, and put back. Tokens from before and after the
// backup are refused everywhere, also those that were revoked after it, and users log in again.
func TestRestoredBackup(t *testing.T) {
	longTest(t)
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { testRestoredBackup(t, newSystem(t), backUpSQLite) })
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newSystem(t)
		s.database = newPostgresDatabase(t)
		server, err := sharedPostgres()
		if err != nil {
			t.Fatal(err)
		}
		testRestoredBackup(t, s, backUpPostgres(server))
	})
}

func testRestoredBackup(t *testing.T, s *system, backUp backup) {
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	before := []tokens{s.loginTo(t, a), s.loginTo(t, a)}
	l := keepLedger(t, s, 4)
	l.more(t, 30, http.StatusOK)
	putBack := backUp(t, s)
	send(t, s.authURL, revoking(a, before[1].refresh)) // the backup does not know this
	after := s.loginTo(t, a)                           // nor this
	l.more(t, 30, http.StatusOK)
	l.check(t)
	s.authserver.stop(t)
	putBack()
	s.startAuthserver(t, "--demo")

	waitFor(t, "the API to refuse the earlier tokens", func() bool {
		got := send(t, s.apiURL, get("/users/me", "Bearer "+before[0].access))
		return got.status == http.StatusUnauthorized
	}, s.resourceserver)
	for _, earlier := range append(before, after) {
		got := send(t, s.apiURL, get("/users/me", "Bearer "+earlier.access))
		if got.status != http.StatusUnauthorized {
			t.Errorf("an earlier access token: %d %s, want 401", got.status, got.body)
		}
		send(t, s.authURL, a.refreshing(earlier.refresh)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	}
	for _, token := range append(l.valid, l.revoked...) {
		send(t, s.authURL, l.app.refreshing(token)).checkRefused(t, http.StatusBadRequest, "invalid_grant")
	}
	again := s.loginTo(t, a)
	waitFor(t, "the API to accept a new token", func() bool {
		return send(t, s.apiURL, get("/users/me", "Bearer "+again.access)).status == http.StatusOK
	}, s.resourceserver)
	send(t, s.authURL, a.refreshing(again.refresh)).tokens(t)
}

// Pods of Kubernetes cannot write the Secrets with the keys. The commands of the Helm chart's README work on copies of
// the key files, on another machine: all servers then use what they have changed.
func TestRestoreInKubernetes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.database = newPostgresDatabase(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t)
	a := s.register(t, "app", "https://app.example/callback", "--public", "--first-party")
	before := s.loginTo(t, a)
	s.authserver.stop(t)

	const url = "'postgres://hallpass@127.0.0.1:15432/hallpass?sslmode=verify-ca&sslrootcert=ca.crt'"
	command := regexp.MustCompile(`(?m)^ *bin/authserver (?:restore|api add)(?:.*\\\n)+.*`)
	commands := command.FindAllString(readProject(t, "deploy/kubernetes/README.md"), -1)
	if len(commands) != 2 {
		t.Fatalf("the README has the commands %q, want restore and api add", commands)
	}
	folder := t.TempDir()
	secrets := map[string]string{s.keysFile: "keys.json", s.apiKeysFile(): "api-keys.json"}
	for secret, copied := range secrets {
		copySecret(t, secret, filepath.Join(folder, copied))
	}
	if err := os.WriteFile(filepath.Join(folder, "password"), []byte("any"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range commands {
		if !strings.Contains(text, url) {
			t.Errorf("this test no longer finds the URL in %s", text)
		}
		text = strings.ReplaceAll(text, url, "'"+s.database+"'")
		text = strings.ReplaceAll(text, "bin/authserver", "'"+filepath.Join(bin, "authserver")+"'")
		shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", text)
		shell.Dir, shell.Env = folder, cleanEnv()
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", text, err, out)
		}
	}
	for secret, copied := range secrets {
		copySecret(t, filepath.Join(folder, copied), secret)
	}
	if _, err := os.Stat(filepath.Join(folder, "orders-keys.json")); err != nil {
		t.Error(err)
	}

	s.startAuthserver(t, "--demo")
	after := s.loginTo(t, a)
	for token, want := range map[string]int{before.access: http.StatusUnauthorized, after.access: http.StatusOK} {
		waitFor(t, "the API to have the new keys", func() bool {
			return send(t, s.apiURL, get("/users/me", "Bearer "+token)).status == want
		}, s.resourceserver)
	}
}

// copySecret copies a file that only its owner may read.
func copySecret(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
