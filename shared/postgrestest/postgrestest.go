// Package postgrestest runs a real PostgreSQL for tests, from the programs that a
// distribution's packages install.
//
// It exists because a test of SQL is worth something only on the engine itself, and
// because such a test should need no set-up: the server runs in a temporary folder,
// listens on a socket there and on no network, and ends with the test program.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrNotInstalled says that the programs of PostgreSQL are not on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// startTimeout bounds how long a server may take to answer.
const startTimeout = 30 * time.Second

// Server is a PostgreSQL server with an empty cluster. Its methods must not be
// called concurrently.
type Server struct {
	bin     string // folder of the programs
	dir     string // holds data and socket
	process *exec.Cmd
	made    int
}

// New makes a cluster and starts its server. It is ErrNotInstalled where there is
// no PostgreSQL. Call Close at the end.
func New() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := errors.Join(s.own(), s.run("initdb", "-D", s.data(), "-U", "hallpass", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// programs finds the folder with postgres and initdb.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // where Debian's packages put them
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	path, err = filepath.EvalSymlinks(path) // the others stand beside the program, not beside a link to it
	return filepath.Dir(path), err
}

// Start starts the server, if it was stopped, and waits until it answers.
func (s *Server) Start() error {
	// Data that a test loses with the machine is no loss: nothing is synced.
	s.process = exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off", "-c", "full_page_writes=off")
	attributes, err := s.attributes()
	if err != nil {
		return err
	}
	dieWithParent(attributes)
	s.process.SysProcAttr, s.process.Dir = attributes, s.dir
	var said bytes.Buffer
	s.process.Stdout, s.process.Stderr = &said, &said
	if err := s.process.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if s.run("pg_isready", "-q", "-h", s.dir) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			err := s.Stop()
			return errors.Join(fmt.Errorf("PostgreSQL does not answer:\n%s", said.String()), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server and all its connections at once, as a restart of the machine
// does. The data stays.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.Process.Signal(syscall.SIGINT)
	_ = s.process.Wait() // how it ended says nothing: it was told to
	s.process = nil
	return err
}

// Database makes an empty database and returns its URL.
func (s *Server) Database() (string, error) {
	s.made++
	name := "test" + strconv.Itoa(s.made)
	if err := s.run("createdb", "-h", s.dir, "-U", "hallpass", name); err != nil {
		return "", err
	}
	return "postgres:///" + name + "?user=hallpass&host=" + s.dir, nil
}

// Close stops the server and removes all it had.
func (s *Server) Close() error {
	return errors.Join(s.Stop(), os.RemoveAll(s.dir))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs one of PostgreSQL's programs to its end.
func (s *Server) run(name string, args ...string) error {
	command := exec.Command(filepath.Join(s.bin, name), args...)
	attributes, err := s.attributes()
	if err != nil {
		return err
	}
	command.SysProcAttr, command.Dir = attributes, s.dir
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output)
	}
	return nil
}

// attributes make a program run as postgres where the tests run as root, as which
// PostgreSQL refuses to run.
func (s *Server) attributes() (*syscall.SysProcAttr, error) {
	uid, gid, err := account()
	if err != nil || uid == os.Getuid() {
		return &syscall.SysProcAttr{}, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// own gives the folder to the account that the server runs as.
func (s *Server) own() error {
	uid, gid, err := account()
	if err != nil {
		return err
	}
	return os.Chown(s.dir, uid, gid)
}

// account returns the ids that the server runs with.
func account() (uid, gid int, err error) {
	if os.Getuid() != 0 {
		return os.Getuid(), os.Getgid(), nil
	}
	u, err := user.Lookup("postgres") // made by the package
	if err != nil {
		return 0, 0, err
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(errUID, errGID)
}
