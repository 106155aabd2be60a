// Package process runs programs to be measured and reads what they use from /proc.
//
// It exists so that every server, the bare one too, is started, looked at and
// stopped in the same way, and so that none outlives the run.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end after it was told to.
const stopTimeout = 10 * time.Second

// Process is a running program. Its methods are for one goroutine.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // why it ended; readable once ended is closed
}

// Command says what to run.
type Command struct {
	// Path and Args are the program and its arguments.
	Path string
	Args []string
	// Env is added to the environment, NAME=VALUE; all of Hallpass's own settings are
	// taken out of it first, so that only those given here are in force.
	Env []string
	// Stdin is what the program reads; nil means nothing.
	Stdin io.Reader
	// Log gets the standard error of Start; nil means that it is dropped.
	Log io.Writer
}

// Start runs the command. Stop must be called.
func Start(c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(cleanEnvironment(), c.Env...)
	cmd.Stdin = c.Stdin
	cmd.Stderr = c.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches us, and we stop it
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Run runs the command to its end and returns what it wrote to standard output. It
// is killed when ctx ends. The error holds what it wrote to standard error.
func Run(ctx context.Context, c Command) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env = append(cleanEnvironment(), c.Env...)
	cmd.Stdin = c.Stdin
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%s: %w: %s", c.Path, err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// cleanEnvironment is ours without what would change the settings of a server or
// of its runtime.
func cleanEnvironment() []string {
	var clean []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case strings.HasPrefix(name, "HALLPASS_"):
		case name == "GOMAXPROCS" || name == "GOGC" || name == "GOMEMLIMIT" || name == "GODEBUG":
		default:
			clean = append(clean, pair)
		}
	}
	return clean
}

// Running returns nil, or an error that says how the process ended.
func (p *Process) Running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended: %w", p.cmd.Path, errors.Join(p.err, errors.New("it should be running")))
	default:
		return nil
	}
}

// Stop tells the process to end as Ctrl-C does, and waits. One that does not end in
// time is killed. The error says how a process ended that did not end well.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended already
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.cmd.Path, p.err)
	}
	return nil
}

// FreeAddress returns a loopback address that nobody listened on just now.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	return address, l.Close()
}
