package e2e_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runSettings are the settings of `make run` for addresses.
var runSettings = []string{"AUTH_LISTEN", "AUTH_ADMIN_LISTEN", "API_LISTEN", "API_ADMIN_LISTEN"}

// runner is `make run`, or its script, as at a terminal: Ctrl-C goes to its whole process
// group.
type runner struct {
	*process
	addresses []string // in the order of runSettings
	programs  string   // folder of the two programs
}

// startRunner starts cmd with a folder of programs and a folder for data. Its addresses are
// those in fixed, by the names of the settings; the others are free ones. fixed may have
// further settings.
func startRunner(t *testing.T, cmd *exec.Cmd, programs, kept string, fixed map[string]string) *runner {
	t.Helper()
	if runtime.GOOS != "linux" {
		leftOut(t, "the processes of make run, which needs Linux")
	}
	r := &runner{addresses: freeAddresses(t, len(runSettings)), programs: programs}
	cmd.Env = cleanEnv("VAR_DIR="+kept, "HALLPASS_BIN="+programs)
	for i, name := range runSettings {
		if address, ok := fixed[name]; ok {
			r.addresses[i] = address
		}
		cmd.Env = append(cmd.Env, name+"="+r.addresses[i])
	}
	for name, value := range fixed {
		if !slices.Contains(runSettings, name) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.process = launch(t, strings.Join(cmd.Args, " "), cmd)
	t.Cleanup(func() { // usually the test has stopped it
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-r.ended:
		case <-time.After(timeout):
		}
	})
	return r
}

// startScript starts the script of `make run` with the programs that are built.
func startScript(t *testing.T, fixed map[string]string) *runner {
	t.Helper()
	return startScriptIn(t, filepath.Join(t.TempDir(), "var"), fixed)
}

// startScriptIn starts the script with a folder for its data.
func startScriptIn(t *testing.T, folder string, fixed map[string]string) *runner {
	t.Helper()
	own := t.TempDir() // processesOf finds the processes of this run by the folder
	if err := copyPrograms(own); err != nil {
		t.Fatal(err)
	}
	script := exec.Command(filepath.Join(root, "deploy", "run.sh"))
	return startRunner(t, script, own, folder, fixed)
}

// copyPrograms copies the two programs to a folder.
func copyPrograms(to string) error {
	syscall.ForkLock.RLock() // a child that is forked meanwhile would keep the file open for writing
	defer syscall.ForkLock.RUnlock()
	return errors.Join(copyFile(to, bin, "authserver", 0o755), copyFile(to, bin, "resourceserver", 0o755))
}

// ready waits for the last line that the runner prints when both servers are ready.
func (r *runner) ready(t *testing.T) {
	t.Helper()
	const last = "Ctrl-C stops both servers."
	waitFor(t, "the greeting", func() bool { return strings.Contains(r.output.String(), last) }, r.process)
}

// pressCtrlC sends SIGINT to the process group, as a terminal does.
func (r *runner) pressCtrlC(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// checkGone checks that the runner's servers have ended.
func (r *runner) checkGone(t *testing.T) {
	t.Helper()
	for _, program := range []string{"authserver", "resourceserver"} {
		if left := processesOf(t, filepath.Join(r.programs, program)); len(left) > 0 {
			t.Errorf("%s still runs as %v", program, left)
		}
	}
	for _, address := range r.addresses {
		if !isRefused(address) {
			t.Errorf("a process still listens on %s", address)
		}
	}
}

// processesOf returns the ids of the processes that run the program at this path.
func processesOf(t *testing.T, program string) []int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == program {
			id, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
	}
	return ids
}

// isRefused reports whether no process listens on address.
func isRefused(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// copyFile copies the file at path below one folder to the same path below another.
func copyFile(to, from, path string, mode fs.FileMode) error {
	data, err := os.ReadFile(filepath.Join(from, path))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, path), data, mode)
}

// copyProject copies the files of the project that a clone has.
func copyProject(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "hallpass")
	notCloned := []string{".git", "bin", "var", "artifacts", "node_modules"}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(notCloned, entry.Name()) {
			return filepath.SkipDir
		}
		relative, err := filepath.Rel(root, path)
		if err != nil || !entry.Type().IsRegular() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, relative), 0o755))
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return copyFile(to, root, relative, info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// What a newcomer does first: `make run` in a fresh clone, the two lines that it prints, and
// Ctrl-C.
func TestMakeRun(t *testing.T) {
	longTest(t)
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		leftOut(t, "the commands that make run prints, which need curl")
	}
	project := copyProject(t)
	cmd := exec.Command("make", "run")
	cmd.Dir = project
	r := startRunner(t, cmd, filepath.Join(project, "bin"), filepath.Join(project, "var"), nil)
	r.ready(t)

	pasted := regexp.MustCompile(`(?m)^  (TOKEN=.*|curl .*)$`).FindAllString(r.output.String(), -1)
	if len(pasted) != 2 {
		t.Fatalf("the greeting has %d lines to paste, want 2", len(pasted))
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(pasted, "\n"))
	shell.Env = cleanEnv()
	got, err := shell.CombinedOutput()
	if want := `{"username":"john.doe","full_name":"John Doe"}` + "\n"; err != nil || string(got) != want {
		t.Errorf("the pasted lines printed %q (%v), want %q", got, err, want)
	}

	r.pressCtrlC(t)
	r.wait(t)
	// make ends itself with the signal when the script has exited with 0.
	if state := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !state.Signaled() || state.Signal() != syscall.SIGINT {
		t.Errorf("make ended with %v, want SIGINT", r.cmd.ProcessState)
	}
	r.checkGone(t)
}

func TestRunStopsOnSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			r := startScript(t, nil)
			r.ready(t)
			r.signal(t, signal)
			if code := r.wait(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			r.checkGone(t)
		})
	}
}

func TestRunStopsBothWhenOneDies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"authserver", "resourceserver"} {
		t.Run(name, func(t *testing.T) {
			r := startScript(t, nil)
			r.ready(t)
			for _, id := range processesOf(t, filepath.Join(r.programs, name)) {
				if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			if code := r.wait(t); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(r.output.String(), name+" has stopped") {
				t.Errorf("it does not say that %s has stopped", name)
			}
			r.checkGone(t)
		})
	}
}

// For a port in use, the message names the setting of `make run`, not that of the server.
func TestRunNamesTheSettingOfAPortInUse(t *testing.T) {
	t.Parallel()
	for _, name := range runSettings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			address := taken.Addr().String()
			r := startScript(t, map[string]string{name: address})
			if code := r.wait(t); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, part := range []string{name + ": " + address + " is in use", "make run AUTH_LISTEN="} {
				if !strings.Contains(r.output.String(), part) {
					t.Errorf("it does not say %q", part)
				}
			}
		})
	}
}
