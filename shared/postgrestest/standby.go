package postgrestest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// standbyName is what a standby calls itself when it connects to its primary.
const standbyName = "standby"

// errStopped is the error of methods that need a running server.
var errStopped = errors.New("this PostgreSQL server does not run")

// Standby copies a running server and starts the copy as its synchronous standby: from then on, a commit on s
// waits until the standby has it on its disk. Promote makes the standby a primary. Call Close at the end, before that
// of s.
func (s *Server) Standby() (*Server, error) {
	if s.shared {
		return nil, errShared
	}
	standby, err := create(&Server{durable: s.durable}, "", func(standby *Server) error {
		source := fmt.Sprintf("host=%s user=hallpass application_name=%s", s.dir, standbyName)
		return standby.run("pg_basebackup", "-D", standby.data(), "-d", source, "--write-recovery-conf",
			"--wal-method=stream", "--checkpoint=fast", "--no-sync")
	})
	if err != nil {
		return nil, err
	}
	// On the command line and not in the data, so that the standby is no primary that waits for itself.
	s.options = append(s.options, "-c", "synchronous_standby_names="+standbyName)
	if err := errors.Join(s.Stop(), s.Start()); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

// Promote makes a standby a primary, and waits until it accepts writes.
func (s *Server) Promote() error { return s.run("pg_ctl", "promote", "-D", s.data(), "-w") }

// Kill kills the server and all processes of its connections with SIGKILL, as if its machine lost power.
func (s *Server) Kill() error {
	err := s.signal(syscall.SIGKILL)
	s.killed = true
	if s.process != nil {
		<-s.ended
		s.process = nil
	}
	return err
}

// Freeze stops all processes of the server with SIGSTOP. The kernel still accepts connections and data for it, but it
// does not respond until Thaw.
func (s *Server) Freeze() error {
	s.frozen = true
	return s.signal(syscall.SIGSTOP)
}

// Thaw lets a server go on that Freeze has stopped.
func (s *Server) Thaw() error {
	s.frozen = false
	return s.signal(syscall.SIGCONT)
}

// signal sends a signal to all processes of the server.
func (s *Server) signal(signal syscall.Signal) error {
	if s.shared {
		return errShared
	}
	if !s.Running() {
		return errStopped
	}
	pid := s.process.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // so that it starts no more of them
		return err
	}
	started, err := children(pid)
	errs := []error{err}
	for _, child := range started {
		if err := syscall.Kill(child, signal); !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, syscall.Kill(pid, signal))...)
}

// children returns the processes that a process has started. It reads /proc, which only Linux has.
func children(parent int) ([]int, error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(parent), "task", "*", "children"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Hosts returns a URL for the same database on several servers: that of one server, with the sockets of the others
// after its own.
func Hosts(database string, others ...*Server) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	query := u.Query()
	hosts := query.Get("host")
	for _, s := range others {
		hosts += "," + s.dir
	}
	query.Set("host", hosts)
	u.RawQuery = query.Encode()
	return u.String(), nil
}
