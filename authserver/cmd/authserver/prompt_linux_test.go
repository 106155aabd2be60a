package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is the program running on a pseudoterminal.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
}

// atTerminal starts the program on a new pseudoterminal.
func atTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{
		Path: self,
		Args: append([]string{"authserver"}, args...),
		Env:  append(os.Environ(), "GORACE="+noRaceSleep, "HALLPASS_BCRYPT_COST=10"),
	}
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, cmd: cmd}
	go x.watch()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails if it has exited
		_ = master.Close()
	})
	return x
}

// watch collects the program's output.
func (x *terminal) watch() {
	buf := make([]byte, 1024)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.screen.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// shown returns the output so far.
func (x *terminal) shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// echoes reports whether the terminal echoes input.
func (x *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(x.master.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// answer waits for a prompt without echo and types keys.
func (x *terminal) answer(prompt, keys string) {
	x.t.Helper()
	x.until(func() bool { return strings.HasSuffix(x.shown(), prompt) && !x.echoes() })
	if !strings.HasSuffix(x.shown(), prompt) || x.echoes() {
		x.t.Fatalf("no prompt %q without echo:\n%s", prompt, x.shown())
	}
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// until waits until done returns true or the time is up.
func (x *terminal) until(done func() bool) {
	for deadline := time.Now().Add(waitTimeout); !done() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// expectEnd waits until the program exits and checks its exit code and output, and that the
// terminal echoes input again.
func (x *terminal) expectEnd(code int, says string) {
	x.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- x.cmd.Wait() }()
	select {
	case err := <-ended:
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			x.t.Fatal(err)
		}
	case <-time.After(waitTimeout):
		x.t.Fatalf("the program does not exit:\n%s", x.shown())
	}
	x.until(func() bool { return strings.Contains(x.shown(), says) })
	if got := x.cmd.ProcessState.ExitCode(); got != code || !strings.Contains(x.shown(), says) {
		x.t.Errorf("exit code %d, want %d and %q in the output:\n%s", got, code, says, x.shown())
	}
	if !x.echoes() {
		x.t.Error("the terminal does not echo input")
	}
	if strings.Contains(x.shown(), "secure") {
		x.t.Errorf("the output contains the password:\n%s", x.shown())
	}
}

func TestPrompt(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hallpass.db")
	database := "--database-url=" + url
	x := atTerminal(t, "user", "add", "john.doe", "--password-min-length=8", database)
	x.expectEnd(2, "there is no database") // before it asks for the password

	if err := createDatabase(url); err != nil {
		t.Fatal(err)
	}
	x = atTerminal(t, "user", "add", "john.doe", "--password-min-length=8", database)
	x.answer("New password: ", "securepassword\n")
	x.answer("Confirm password: ", "securepassword\n")
	x.expectEnd(0, "user john.doe: added")

	for name, tt := range map[string]struct {
		first, second string // second is empty if the program does not ask for it
		code          int
		says          string
	}{
		"different passwords":  {"securepassword\n", "securepassw0rd\n", 1, "do not match: nothing was changed"},
		"too short":            {"short\n", "short\n", 2, "8 characters"},
		"empty":                {"\n", "\n", 2, "8 characters"},
		"Ctrl-C":               {"secure\x03", "", 1, "interrupted: nothing was changed"},
		"Ctrl-C at the second": {"securepassword\n", "\x03", 1, "interrupted: nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			x := atTerminal(t, "user", "add", "jane.smith", "--password-min-length=8", database)
			x.answer("New password: ", tt.first)
			if tt.second != "" {
				x.answer("Confirm password: ", tt.second)
			}
			x.expectEnd(tt.code, tt.says)
		})
	}
	x = atTerminal(t, "user", "show", "jane.smith", database)
	x.expectEnd(3, "user not found")
}
