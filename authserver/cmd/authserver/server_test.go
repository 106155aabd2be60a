package main

import (
	"encoding/base64"
	"encoding/json"
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

// servingVariable is set in a script while its server runs, so that commands wait for the server.
const servingVariable = "SERVING"

// waitTimeout limits the wait for a program.
const waitTimeout = 5 * time.Minute

// inherited are the variables that a script can set for its server.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "GORACE",
	"HALLPASS_DATABASE_URL", "HALLPASS_BCRYPT_COST",
	"HALLPASS_DATABASE_CONNECT_TIMEOUT", "HALLPASS_DATABASE_STATEMENT_TIMEOUT", "HALLPASS_PASSWORD_WAIT",
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
	ts.Setenv(servingVariable, "yes")
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
	ts.Setenv(servingVariable, "")
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
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	post(ts, "/token", status, args[1:])
}

// post sends a form, checks the response status and returns the body. The value @FILE stands for the
// content of the file.
func post(ts *testscript.TestScript, path string, status int, parameters []string) []byte {
	form := url.Values{}
	for _, parameter := range parameters {
		name, value, _ := strings.Cut(parameter, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = strings.TrimRight(ts.ReadFile(file), "\n")
		}
		form.Set(name, value)
	}
	resp, err := http.PostForm(ts.Getenv("url")+path, form)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != status {
		ts.Fatalf("POST %s: %d %s, want %d", path, resp.StatusCode, body, status)
	}
	return body
}

// issue requests tokens and writes them and the URI of their status list to the files NAME, NAME.refresh
// and NAME.list: issue NAME NAME=VALUE...
func issue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: issue NAME NAME=VALUE...")
	}
	var response struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	ts.Check(json.Unmarshal(post(ts, "/token", http.StatusOK, args[1:]), &response))
	var claims struct {
		Status struct {
			List struct {
				URI string `json:"uri"`
			} `json:"status_list"`
		} `json:"status"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(response.Access, ".")[1])
	ts.Check(err)
	ts.Check(json.Unmarshal(payload, &claims))
	for suffix, text := range map[string]string{
		"": response.Access, ".refresh": response.Refresh, ".list": claims.Status.List.URI + "\n",
	} {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+suffix), []byte(text), 0o600))
	}
}

// active checks by introspection whether a token is active: [!] active NAME. The client is app, whose
// secret is in the file secret.
func active(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] active NAME")
	}
	if isActive(ts, args[0]) == neg {
		ts.Fatalf("active: %v", neg)
	}
}

// becomesInactive waits until a token is not active: becomes-inactive NAME
func becomesInactive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: becomes-inactive NAME")
	}
	until(ts, "waiting for the token to end", func() bool { return !isActive(ts, args[0]) })
}

func isActive(ts *testscript.TestScript, name string) bool {
	var response struct {
		Active bool `json:"active"`
	}
	form := []string{"client_id=app", "client_secret=@secret", "token=@" + name}
	ts.Check(json.Unmarshal(post(ts, "/introspect", http.StatusOK, form), &response))
	return response.Active
}
