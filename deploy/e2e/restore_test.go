package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
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
