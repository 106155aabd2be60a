package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The server that a script may start, one at a time.

// serveLog is where it writes its log.
const serveLog = "serve.log"

// patience is how long a program may take to say what a test waits for.
const patience = time.Minute

// inherited are the variables that a script may set for its server.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "GORACE",
	"HALLPASS_DATABASE_URL", "HALLPASS_BCRYPT_COST", "HALLPASS_LISTEN", "HALLPASS_ADMIN_LISTEN", "HALLPASS_DRAIN_DELAY",
	"HALLPASS_TOKEN_SECRET", "HALLPASS_KEYS_FILE", "HALLPASS_DEFAULT_CLIENT",
}

// running holds the server of each script that runs now, by the script's name. Scripts
// run side by side.
var running = make(chan map[string]*exec.Cmd, 1)

func init() { running <- map[string]*exec.Cmd{} }

// serve starts 'authserver serve' and goes on when its log, which is serve.log, matches
// a pattern: serve PATTERN ARG... Then $url is where it listens, $address the same
// without the scheme, $admin the address of its admin listener.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve PATTERN ARG...")
	}
	start(ts, args[1:])
	pattern := regexp.MustCompile(args[0])
	until(ts, "the log matches "+args[0], func() bool {
		log := ts.ReadFile(serveLog)
		if strings.Contains(log, "authserver: ") {
			ts.Fatalf("the server has ended:\n%s", log)
		}
		return pattern.MatchString(log)
	})
	found := regexp.MustCompile(`address=(\S+) admin_address=(\S+)`).FindStringSubmatch(ts.ReadFile(serveLog))
	if found == nil {
		ts.Fatalf("the log names no address")
	}
	ts.Setenv("url", "http://"+found[1])
	ts.Setenv("address", found[1])
	ts.Setenv("admin", found[2])
}

func start(ts *testscript.TestScript, args []string) {
	self, err := os.Executable()
	ts.Check(err)
	log, err := os.Create(ts.MkAbs(serveLog))
	ts.Check(err)
	defer log.Close()
	cmd := &exec.Cmd{Path: self, Args: append([]string{"authserver", "serve"}, args...), Dir: ts.MkAbs("."), Stdout: log, Stderr: log}
	for _, name := range inherited {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	ts.Check(cmd.Start())
	all := <-running
	all[ts.Name()] = cmd
	running <- all
	ts.Defer(func() { _, _ = end(ts.Name(), syscall.SIGKILL) })
}

// until waits for something that takes a program a moment.
func until(ts *testscript.TestScript, what string, happened func() bool) {
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain until %s:\n%s", what, ts.ReadFile(serveLog))
		}
	}
}

// ready waits until the server is: ready
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	until(ts, "the server is ready", func() bool {
		resp, err := http.Get("http://" + ts.Getenv("admin") + "/readyz")
		ts.Check(err)
		ts.Check(resp.Body.Close())
		return resp.StatusCode == http.StatusOK
	})
}

// stop sends the server SIGTERM, and checks its exit code: stop CODE
func stop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop CODE")
	}
	code, found := end(ts.Name(), syscall.SIGTERM)
	if !found || strconv.Itoa(code) != args[0] {
		ts.Fatalf("the server ended with %d, want %s:\n%s", code, args[0], ts.ReadFile(serveLog))
	}
}

// end ends the server of a script, if there is one, and returns its exit code.
func end(script string, signal os.Signal) (code int, found bool) {
	all := <-running
	cmd, found := all[script]
	delete(all, script)
	running <- all
	if !found {
		return 0, false
	}
	_ = cmd.Process.Signal(signal) // if it has ended by itself, its exit code says so
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// token asks the server for a token and checks the status: token STATUS NAME=VALUE...
// A value @FILE is the line in the file.
func token(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: token STATUS NAME=VALUE...")
	}
	form := url.Values{}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = strings.TrimRight(ts.ReadFile(file), "\n")
		}
		form.Set(name, value)
	}
	resp, err := http.PostForm(ts.Getenv("url")+"/token", form)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != args[0] {
		ts.Fatalf("POST /token: %d %s, want %s", resp.StatusCode, body, args[0])
	}
}
