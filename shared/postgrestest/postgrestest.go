// Package postgrestest runs a real PostgreSQL for tests, from the programs that a
// distribution's packages install. It needs no setup: the server runs in a temporary
// folder, listens on a Unix socket there and on no network, and ends with the program
// that started it.
//
// One server is enough for the tests of all packages. The command withpostgres starts
// one and names it in the environment variable HALLPASS_TEST_POSTGRES for the command
// that it runs:
//
//	go run ./shared/postgrestest/cmd/withpostgres go test ./...
//
// Shared returns that server. In a package that is tested alone, with plain go test, it
// starts a server for that package.
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
	"sync/atomic"
	"syscall"
	"time"
)

// Variable is the environment variable that names a running server: the folder of its
// socket.
const Variable = "HALLPASS_TEST_POSTGRES"

// ErrNotInstalled means that PostgreSQL's programs are not on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed")

// errShared is the error of Start and Stop for a server that other packages use too.
var errShared = errors.New("this PostgreSQL server is shared: call New for one to stop")

// startTimeout bounds how long a server may take to accept connections.
const startTimeout = 5 * time.Minute

// Server is a PostgreSQL server. Database may be called concurrently; the other methods
// may not.
type Server struct {
	bin       string   // folder of PostgreSQL's programs
	dir       string   // folder of the socket and the data
	shared    bool     // started by another program
	durable   bool     // syncs to the disk
	options   []string // of its command line, besides those of every server
	frozen    bool     // by Freeze
	killed    bool     // by Kill
	process   *exec.Cmd
	ended     chan struct{} // closed when process has ended
	databases atomic.Int64
}

// Shared returns the server that HALLPASS_TEST_POSTGRES names. If the variable is empty,
// it starts one, as New does. Call Close at the end.
func Shared() (*Server, error) {
	dir := os.Getenv(Variable)
	if dir == "" {
		return New()
	}
	bin, err := programs()
	return &Server{bin: bin, dir: dir, shared: true}, err
}

// New creates a database cluster and starts a server on it that no other program uses. It
// syncs nothing to the disk: the data of a test need not survive a crash of the machine. It
// returns ErrNotInstalled if there is no PostgreSQL. Call Close at the end.
func New() (*Server, error) { return newServer(false) }

// NewDurable is New with PostgreSQL's defaults: it syncs every commit to the disk. Measurements
// need that.
func NewDurable() (*Server, error) { return newServer(true) }

func newServer(durable bool) (*Server, error) {
	return create(&Server{durable: durable}, "", func(s *Server) error { return initialize(s) })
}

// NewOn is NewDurable in a new folder of dir, such as a small disk. The server keeps as little WAL as it can.
func NewOn(dir string) (*Server, error) {
	options := []string{"-c", "min_wal_size=2MB", "-c", "max_wal_size=4MB"}
	return create(&Server{durable: true, options: options}, dir, func(s *Server) error {
		return initialize(s, "--wal-segsize=1")
	})
}

// initialize creates the database cluster of a server, with further flags of initdb.
func initialize(s *Server, flags ...string) error {
	return s.run("initdb", append([]string{
		"-D", s.data(), "-U", "hallpass", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync",
	}, flags...)...)
}

// create makes a folder for a server in parent, or among temporary files if that is empty, fills it, and starts the
// server.
func create(s *Server, parent string, fill func(*Server) error) (*Server, error) {
	var err error
	if s.bin, err = programs(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(parent, "pg"); err != nil { // short: a socket's path has at most 107 bytes
		return nil, err
	}
	for _, step := range []func() error{s.chown, func() error { return fill(s) }, s.Start} {
		if err := step(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.dir))
		}
	}
	return s, nil
}

// Socket returns the folder of the server's Unix socket: the value of
// HALLPASS_TEST_POSTGRES for programs that are to use it.
func (s *Server) Socket() string { return s.dir }

// programs returns the folder of PostgreSQL's programs.
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
	path, err = filepath.EvalSymlinks(path) // the other programs are next to the file, not next to a link
	return filepath.Dir(path), err
}

// Start starts a server that Stop has stopped or that has ended by itself, and waits until it accepts connections.
func (s *Server) Start() error {
	if s.shared {
		return errShared
	}
	s.process = exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "max_connections=400", "-c", "dynamic_shared_memory_type=mmap")
	if !s.durable {
		s.process.Args = append(s.process.Args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	s.process.Args = append(s.process.Args, s.options...)
	attributes, err := s.attributes()
	if err != nil {
		return err
	}
	dieWithParent(attributes)
	s.process.SysProcAttr, s.process.Dir = attributes, s.dir
	var log bytes.Buffer
	s.process.Stdout, s.process.Stderr = &log, &log
	if err := s.process.Start(); err != nil {
		return err
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait() // Stop and Kill end it, and a server that ends by itself has logged why
		close(ended)
	}()
	return s.await(&log)
}

// await waits until the server accepts connections.
func (s *Server) await(log *bytes.Buffer) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for s.run("pg_isready", "-q", "-h", s.dir) != nil {
		select {
		case <-s.ended:
			return fmt.Errorf("PostgreSQL has ended:\n%s", log)
		case <-ctx.Done():
			err := s.Stop() // before the log is read
			return errors.Join(fmt.Errorf("PostgreSQL accepts no connections after %v:\n%s", startTimeout, log), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Running reports whether the server runs. One that cannot write its WAL ends by itself.
func (s *Server) Running() bool {
	if s.process == nil {
		return s.shared
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Stop ends the server and all its connections at once. The data stays for Start.
func (s *Server) Stop() error {
	if s.shared {
		return errShared
	}
	if s.process == nil {
		return nil
	}
	var thawed error
	if s.frozen {
		thawed = s.Thaw()
	}
	err := s.process.Process.Signal(syscall.SIGINT)
	if errors.Is(err, os.ErrProcessDone) { // by itself
		err = nil
	}
	<-s.ended
	s.process = nil
	return errors.Join(thawed, err)
}

// Database creates an empty database and returns its URL. Close deletes it with the server.
func (s *Server) Database() (string, error) {
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), s.databases.Add(1)) // programs share a server
	if err := s.run("createdb", "-h", s.dir, "-U", "hallpass", name); err != nil {
		return "", err
	}
	return "postgres:///" + name + "?user=hallpass&host=" + s.dir, nil
}

// Close stops the server and removes its data. For a server that another program has
// started it does nothing.
func (s *Server) Close() error {
	if s.shared {
		return nil
	}
	var started error
	if s.killed && s.process == nil {
		started = s.Start() // it then removes the shared memory that it has left behind
	}
	return errors.Join(started, s.Stop(), os.RemoveAll(s.dir))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Run runs one of PostgreSQL's programs, such as pg_dump, and waits for its end. It runs as the server's user, with the
// folder of Socket as its working directory. The error has the program's output.
func (s *Server) Run(program string, args ...string) error { return s.run(program, args...) }

// run runs one of PostgreSQL's programs and waits for its end.
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

// attributes returns process attributes that run a program as the user postgres if the
// tests run as root: PostgreSQL refuses to run as root.
func (s *Server) attributes() (*syscall.SysProcAttr, error) {
	uid, gid, err := account()
	if err != nil || uid == os.Getuid() {
		return &syscall.SysProcAttr{}, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// chown gives the folder to the user that the server runs as.
func (s *Server) chown() error {
	uid, gid, err := account()
	if err != nil {
		return err
	}
	return os.Chown(s.dir, uid, gid)
}

// account returns the ids of the user and the group that the server runs as.
func account() (uid, gid int, err error) {
	if os.Getuid() != 0 {
		return os.Getuid(), os.Getgid(), nil
	}
	u, err := user.Lookup("postgres") // PostgreSQL's package creates this user
	if err != nil {
		return 0, 0, err
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(errUID, errGID)
}
