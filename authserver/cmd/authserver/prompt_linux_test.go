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

// terminal is the program as somebody sees it who sits at a terminal.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
}

// atTerminal starts the program on a terminal of its own.
func atTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: append([]string{"authserver"}, args...), Env: append(os.Environ(), "GORACE="+noRaceSleep, "HALLPASS_BCRYPT_COST=10")}
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, cmd: cmd}
	go x.watch()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // nothing to do if it has ended
		_ = master.Close()
	})
	return x
}

// watch notes what the program shows.
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

func (x *terminal) shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// echoes reports whether the terminal shows what is typed.
func (x *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(x.master.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// answer waits for a prompt, and for the terminal to hide what is typed, and types.
func (x *terminal) answer(prompt, keys string) {
	x.t.Helper()
	for deadline := time.Now().Add(patience); !strings.HasSuffix(x.shown(), prompt) || x.echoes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			x.t.Fatalf("there is no prompt %q that hides what is typed:\n%s", prompt, x.shown())
		}
	}
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// expectEnd waits for the end of the program, and checks that the terminal is as it was.
func (x *terminal) expectEnd(code int, says string) {
	x.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- x.cmd.Wait() }()
	select {
	case err := <-ended:
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			x.t.Fatal(err)
		}
	case <-time.After(patience):
		x.t.Fatalf("the program does not end:\n%s", x.shown())
	}
	for deadline := time.Now().Add(patience); !strings.Contains(x.shown(), says) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	if got := x.cmd.ProcessState.ExitCode(); got != code || !strings.Contains(x.shown(), says) {
		x.t.Errorf("the program ended with %d, want %d, and should have said %q:\n%s", got, code, says, x.shown())
	}
	if !x.echoes() {
		x.t.Error("the terminal does not show any more what is typed")
	}
	if strings.Contains(x.shown(), "secure") {
		x.t.Errorf("the password is on the screen:\n%s", x.shown())
	}
}

func TestPrompt(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hallpass.db")
	database := "--database-url=" + url
	x := atTerminal(t, "user", "add", "john.doe", database)
	x.expectEnd(2, "there is no database") // before anything is asked

	if err := makeDatabase(url); err != nil {
		t.Fatal(err)
	}
	x = atTerminal(t, "user", "add", "john.doe", database)
	x.answer("New password: ", "securepassword\n")
	x.answer("Once more: ", "securepassword\n")
	x.expectEnd(0, "user john.doe: added")

	for name, tt := range map[string]struct {
		first, second string // no second: it is not asked for
		code          int
		says          string
	}{
		"two passwords":        {"securepassword\n", "securepassw0rd\n", 1, "the two passwords differ: nothing was changed"},
		"refused":              {"short\n", "short\n", 2, "8 characters"},
		"empty":                {"\n", "\n", 2, "8 characters"},
		"Ctrl-C":               {"secure\x03", "", 1, "interrupted: nothing was changed"},
		"Ctrl-C at the second": {"securepassword\n", "\x03", 1, "interrupted: nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			x := atTerminal(t, "user", "add", "jane.smith", database)
			x.answer("New password: ", tt.first)
			if tt.second != "" {
				x.answer("Once more: ", tt.second)
			}
			x.expectEnd(tt.code, tt.says)
		})
	}
	x = atTerminal(t, "user", "show", "jane.smith", database)
	x.expectEnd(3, "no such user")
}
