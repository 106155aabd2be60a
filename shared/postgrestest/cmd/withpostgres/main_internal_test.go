package main

import (
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// The command finds the server, and its exit code is that of withpostgres.
func TestCommandFindsServer(t *testing.T) {
	server, err := postgrestest.Shared()
	postgrestest.Database(t, func() (*postgrestest.Server, error) { return server, err }) // skips if it is not installed
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	code, err := run([]string{"sh", "-c", `[ -S "$HALLPASS_TEST_POSTGRES/.s.PGSQL.5432" ] && exit 3`})
	if code != 3 || err != nil {
		t.Errorf("exit code %d and error %v, want 3 and none", code, err)
	}
}

func TestExitCodeOfUnknownCommand(t *testing.T) {
	if code, err := run([]string{"no-such-command"}); code == 0 || err == nil {
		t.Errorf("exit code %d and error %v, want a failure", code, err)
	}
}
