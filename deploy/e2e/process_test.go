package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// timeout bounds every wait of a test. It is long, for a machine that is busy with other
// things.
const timeout = 10 * time.Minute

// output collects what a process writes. It can be read meanwhile.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

// String returns what was written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// process is a running program.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when the process has ended
	err    error         // of cmd.Wait; read it after ended is closed
}

// launch starts cmd. If it still runs at the end of the test, it is killed. If the test fails,
// its output is logged.
func launch(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, output: &output{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // usually it has ended
		<-p.ended
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, p.output)
		}
	})
	return p
}

// signal sends a signal to the process.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("sending %v to %s: %v", s, p.name, err)
	}
}

// wait waits for the end of the process and returns its exit code: -1 if a signal ended it.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(timeout):
		t.Fatalf("%s still runs after %v", p.name, timeout)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatalf("waiting for the end of %s: %v", p.name, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop sends SIGTERM and waits for the process, which must exit with 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Errorf("%s exited with %d after SIGTERM, want 0", p.name, code)
	}
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// waitFor polls a condition until it is true. The test fails after timeout, or when one of the
// needed processes ends first.
func waitFor(t *testing.T, what string, done func() bool, needed ...*process) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !done(); time.Sleep(10 * time.Millisecond) {
		for _, p := range needed {
			if !p.running() {
				t.Fatalf("%s ended (%v) while the test waited for %s", p.name, p.err, what)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still waiting for %s", timeout, what)
		}
	}
}

// isReady reports whether the server with this admin address is ready.
func isReady(adminAddress string) bool {
	resp, err := http.Get("http://" + adminAddress + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// nextPort is the next port that freeAddresses tries. It stays below 32768, where the
// ports begin that systems give to outgoing connections: one of those could take a port
// before the server that it is for listens on it. Processes begin at different ports.
var nextPort atomic.Int32

func init() { nextPort.Store(int32(os.Getpid() % 400 * 50)) }

// freeAddresses returns n loopback addresses that no process listens on. It returns no
// address twice.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for len(addresses) < n {
		address := fmt.Sprintf("127.0.0.1:%d", 11000+nextPort.Add(1)%21000)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// result is the exit code and the output of a command.
type result struct {
	code   int
	stdout string
	stderr string
}

// command runs one of the two programs and waits for its end.
func command(t *testing.T, input, name string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
	cmd.Env = cleanEnv()
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("running %s %v: %v", name, args, err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// mustCommand is command for one that must succeed. It returns the standard output.
func mustCommand(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	got := command(t, input, name, args...)
	if got.code != 0 {
		t.Fatalf("%s %v exited with %d:\n%s%s", name, args, got.code, got.stdout, got.stderr)
	}
	return got.stdout
}
