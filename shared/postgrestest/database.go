package postgrestest

import (
	"errors"
	"os"
	"testing"
)

// Database returns the URL of an empty database for a test, on the server that start
// gives: New, or what gives the same server to several tests. Where PostgreSQL is not
// installed the test is left out, but with CI=true, when nothing may be, it fails.
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
