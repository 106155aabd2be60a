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
	cmd            *exec.Cmd
	stop           func() // interrupts the process and waits for its end
}

// half is the number of CPUs that a server under load gets. wrk gets the others.
func half() int { return max(1, runtime.NumCPU()/2) }

// start starts a server of the program path and returns once ready succeeds. prepare adds
// the arguments, for the addresses of s. procs is the server's GOMAXPROCS, 0 the default.
func (b *bench) start(
	ctx context.Context, path string, procs int, prepare func(s *server), ready func(*server) error,
) (*server, error) {
	address, errAddress := freeAddress()
	admin, errAdmin := freeAddress()
	log, errLog := os.Create(filepath.Join(b.dir, address+".log"))
	if err := errors.Join(errAddress, errAdmin, errLog); err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(ctx)
	s := &server{address: address, admin: admin, cmd: exec.CommandContext(ctx, path)}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay, s.cmd.Stderr, s.cmd.Env = stopTimeout, log, cleanEnvironment()
	s.stop = func() { cancel(); _ = s.cmd.Wait() }
	if procs > 0 {
		s.cmd.Env = append(s.cmd.Env, "GOMAXPROCS="+strconv.Itoa(procs))
	}
	prepare(s)
	if err := s.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(200 * time.Microsecond) {
		err := ready(s)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.stop()
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("starting %s: %w; the end of its log:\n%s", path, err, text[max(0, len(text)-1000):])
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
