package process_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
)

// start runs a shell script until the end of the test.
func start(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Command{Path: "/bin/sh", Args: []string{"-c", script}, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

// The CPU time of a process is its own: one that works has some, in the order of the
// time that passed, and one that sleeps has none.
func TestCPU(t *testing.T) {
	busy, idle := start(t, "while :; do :; done"), start(t, "exec sleep 60")
	begin := time.Now()
	for time.Since(begin) < 20*time.Second {
		used, err := busy.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if used > time.Since(begin)+100*time.Millisecond {
			t.Fatalf("one thread has run for %v of %v", used, time.Since(begin))
		}
		if used >= 100*time.Millisecond {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if used, err := busy.CPU(); err != nil || used < 100*time.Millisecond {
		t.Errorf("the busy process has used %v (%v)", used, err)
	}
	if used, err := idle.CPU(); err != nil || used > 50*time.Millisecond {
		t.Errorf("the idle process has used %v (%v)", used, err)
	}
}

// The memory of a process is its own, and that of no other.
func TestMemory(t *testing.T) {
	p := start(t, "exec sleep 60")
	var m process.Memory
	for range 1000 { // a program that has just been started is not in memory yet
		var err error
		if m, err = p.Memory(); err != nil {
			t.Fatal(err)
		}
		if m.Resident >= 100<<10 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if m.Resident < 100<<10 || m.Resident > 50<<20 || m.Anonymous > m.Resident {
		t.Errorf("a sleeping program holds %d bytes, %d of them its own", m.Resident, m.Anonymous)
	}
}

// What a process uses cannot be read after its end: the error says that it has ended.
func TestEndedProcess(t *testing.T) {
	p := start(t, "exit 3")
	for begin := time.Now(); p.Running() == nil && time.Since(begin) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Stop: %v", err)
	}
	if err := p.Running(); err == nil {
		t.Error("Running: no error")
	}
	if _, err := p.CPU(); err == nil {
		t.Error("CPU: no error")
	}
	if _, err := p.Memory(); err == nil {
		t.Error("Memory: no error")
	}
}

// Settings of whoever runs the benchmark do not reach the programs.
func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("HALLPASS_LOG_LEVEL", "error")
	t.Setenv("GOGC", "off")
	t.Setenv("KEPT", "yes")
	out, err := process.Run(t.Context(), process.Command{
		Path: "/bin/sh", Args: []string{"-c", "cat; echo $HALLPASS_LOG_LEVEL $GOGC $KEPT $GIVEN"},
		Env: []string{"GIVEN=too"}, Stdin: strings.NewReader("input "),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(bytes.TrimSpace(out)); got != "input yes too" {
		t.Errorf("the program sees %q", got)
	}
}

// A program that fails says why.
func TestRunFails(t *testing.T) {
	_, err := process.Run(t.Context(), process.Command{Path: "/bin/sh", Args: []string{"-c", "echo because >&2; exit 1"}})
	if err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("error %v, not one that says because", err)
	}
}
