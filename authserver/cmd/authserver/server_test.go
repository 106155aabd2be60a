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

// serveLog is the log file of the server that a script starts.
const serveLog = "serve.log"

// waitTimeout limits the wait for a program.
const waitTimeout = time.Minute

// inherited are the variables that a script can set for its server.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "GORACE",
	"HALLPASS_DATABASE_URL", "HALLPASS_BCRYPT_COST",
	"HALLPASS_LISTEN", "HALLPASS_ADMIN_LISTEN", "HALLPASS_DRAIN_DELAY",
	"HALLPASS_TOKEN_SECRET", "HALLPASS_KEYS_FILE", "HALLPASS_DEFAULT_CLIENT",
}

// running holds the server of each script by the script's name. Scripts run in parallel.
var running = make(chan map[string]*exec.Cmd, 1)

func init() { running <- map[string]*exec.Cmd{} }

// serve starts 'authserver serve' and waits until its log, serve.log, matches a pattern:
// serve PATTERN ARG... It sets $url to the server's URL, $address to its address and $admin to the
// address of its admin listener. A script can run one server at a time.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve PATTERN ARG...")
	}
	start(ts, args[1:])
	pattern := regexp.MustCompile(args[0])
	until(ts, "waiting for "+args[0]+" in the log", func() bool {
		log := ts.ReadFile(serveLog)
		if strings.Contains(log, "authserver: ") {
			ts.Fatalf("the server exited:\n%s", log)
		}
		return pattern.MatchString(log)
	})
	found := regexp.MustCompile(`address=(\S+) admin_address=(\S+)`).FindStringSubmatch(ts.ReadFile(serveLog))
	if found == nil {
		ts.Fatalf("the log has no address")
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
	cmd := &exec.Cmd{
		Path:   self,
		Args:   append([]string{"authserver", "serve"}, args...),
		Dir:    ts.MkAbs("."),
		Stdout: log,
		Stderr: log,
	}
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

// until waits until done returns true.
func until(ts *testscript.TestScript, what string, done func() bool) {
	for deadline := time.Now().Add(waitTimeout); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("timeout: %s:\n%s", what, ts.ReadFile(serveLog))
		}
	}
}

// ready waits until the server is ready: ready
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	until(ts, "waiting for the server to be ready", func() bool {
		resp, err := http.Get("http://" + ts.Getenv("admin") + "/readyz")
		ts.Check(err)
		ts.Check(resp.Body.Close())
		return resp.StatusCode == http.StatusOK
	})
}

// stop sends SIGTERM to the server and checks its exit code: stop CODE
func stop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop CODE")
	}
	code, found := end(ts.Name(), syscall.SIGTERM)
	if !found || strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s:\n%s", code, args[0], ts.ReadFile(serveLog))
	}
}

// end signals the server of a script, waits for it to exit and returns its exit code. found reports
// whether there was a server.
func end(script string, signal os.Signal) (code int, found bool) {
	all := <-running
	cmd, found := all[script]
	delete(all, script)
	running <- all
	if !found {
		return 0, false
	}
	_ = cmd.Process.Signal(signal) // fails if it has exited, which its exit code shows
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// token requests a token with form parameters and checks the response status:
// token STATUS NAME=VALUE... The value @FILE stands for the content of the file.
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
