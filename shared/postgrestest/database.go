package postgrestest

import (
	"errors"
	"os"
	"testing"
)

// Database returns the URL of an empty database on the server that start returns.
// start is Shared, or a function that starts one server and returns it every time.
// Where PostgreSQL is not installed, Database skips the test; with CI=true it fails it.
func Database(t testing.TB, start func() (*Server, error)) (url string) {
	t.Helper()
	server, err := start()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip("left out: PostgreSQL is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	if url, err = server.Database(); err != nil {
		t.Fatal(err)
	}
	return url
}
