package postgrestest

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// query runs an SQL command that must succeed.
func (s *Server) query(t *testing.T, url, sql string) {
	t.Helper()
	if err := s.run("psql", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql); err != nil {
		t.Fatal(err)
	}
}

// A server that is stopped and started again has its data. Close leaves nothing behind.
func TestNewServerKeepsDataOverRestart(t *testing.T) {
	t.Parallel()
	s, err := New()
	url := Database(t, func() (*Server, error) { return s, err })
	s.query(t, url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if s.run("psql", "-d", url, "-c", "SELECT 1") == nil {
		t.Error("a stopped server accepts a connection")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.query(t, url, "SELECT 1 / n FROM kept") // fails where the row is missing
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("after Close, %s still exists: %v", s.dir, err)
	}
}

// A server that has ended by itself says so, and can be started again.
func TestServerEndsByItself(t *testing.T) {
	t.Parallel()
	s, err := NewOn(os.TempDir())
	url := Database(t, func() (*Server, error) { return s, err })
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if s.Running() {
		t.Error("a server that has ended runs")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.query(t, url, "SELECT 1")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The server that HALLPASS_TEST_POSTGRES names gives databases and cannot be stopped.
func TestSharedServer(t *testing.T) {
	owner, err := Shared() // the one of all packages, or a new one
	first := Database(t, func() (*Server, error) { return owner, err })
	defer owner.Close()
	t.Setenv(Variable, owner.Socket())
	s, err := Shared()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Stop(), s.Start()); !errors.Is(err, errShared) {
		t.Errorf("Stop and Start return %v, want %v", err, errShared)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	owner.query(t, first, "SELECT 1") // Close has not stopped it

	s.databases.Store(owner.databases.Load()) // in another process, names differ by the process id
	second := Database(t, func() (*Server, error) { return s, nil })
	if second == first {
		t.Errorf("two databases have the URL %s", first)
	}
	s.query(t, second, "CREATE TABLE t (n int)")
}

// A commit on a primary is on its standby when it returns. Close leaves nothing of a killed and a frozen server.
func TestStandbyHasWhatWasCommitted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long test")
	}
	primary, err := New()
	direct := Database(t, func() (*Server, error) { return primary, err })
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	primary.query(t, direct, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	url, err := Hosts(direct, standby)
	if err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	standby.query(t, url, "INSERT INTO kept SELECT 1 / n FROM kept")
	if err := standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(standby.Close(), primary.Close()); err != nil {
		t.Error(err)
	}
}
