package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
)

// server is a running server process.
type server struct {
	address, admin string // HOST:PORT of its listeners
	share          share
	cmd            *exec.Cmd
	stop           func() // interrupts the process and waits for its end
}

// share is the part of the machine that a server gets. The zero value is all of it.
type share struct {
	procs      int    // GOMAXPROCS
	cpus       string // CPUs of the server, as taskset reads them
	wrkCPUs    string // CPUs of wrk
	wrkThreads int
}

// half is the share of a server under load: half of the CPUs.
func half() share { return share{procs: max(1, runtime.NumCPU()/2)} }

// command is how to start a server.
type command struct {
	path        string
	args        func(s *server) []string // for the addresses of s
	environment func(s *server) []string // nil: none
	ready       func(*server) error
}

// start starts a server and returns once it is ready.
func (b *bench) start(ctx context.Context, part share, c command) (*server, error) {
	address, errAddress := freeAddress()
	admin, errAdmin := freeAddress()
	log, errLog := os.Create(filepath.Join(b.dir, address+".log"))
	if err := errors.Join(errAddress, errAdmin, errLog); err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(ctx)
	s := &server{address: address, admin: admin, share: part}
	s.cmd = pinned(ctx, part.cpus, c.path, c.args(s)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay, s.cmd.Stderr, s.cmd.Env = stopTimeout, log, cleanEnvironment()
	s.stop = func() { cancel(); _ = s.cmd.Wait() }
	if part.procs > 0 {
		s.cmd.Env = append(s.cmd.Env, "GOMAXPROCS="+strconv.Itoa(part.procs))
	}
	if c.environment != nil {
		s.cmd.Env = append(s.cmd.Env, c.environment(s)...)
	}
	if err := s.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(200 * time.Microsecond) {
		err := c.ready(s)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.stop()
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("starting %s: %w; the end of its log:\n%s", c.path, err, text[max(0, len(text)-1000):])
		}
	}
}

// usage returns the CPU time that the process has used, in microseconds with a resolution
// of 10 ms, and its resident memory in MiB.
func (s *server) usage() (cpu, memory float64, err error) {
	process, err := procfs.NewProc(s.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	stat, err := process.Stat()
	return stat.CPUTime() * 1e6, float64(stat.ResidentMemory()) / (1 << 20), err
}

// freeAddress returns an address on which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// cleanEnvironment returns the environment without settings of the servers and the Go runtime.
func cleanEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "HALLPASS_") || strings.HasPrefix(variable, "GO")
	})
}
