package postgrestest

import (
	"os"
	"sync"
	"testing"
)

// A server starts, takes statements, keeps its data over a restart, and leaves
// nothing behind.
func TestServer(t *testing.T) {
	start := sync.OnceValues(New)
	url := Database(t, start)
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run("psql", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if s.run("psql", "-d", url, "-c", "SELECT 1") == nil {
		t.Error("a stopped server answers")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.run("psql", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", "SELECT 1 / n FROM kept"); err != nil {
		t.Errorf("data lost over a restart: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", s.dir, err)
	}
}
