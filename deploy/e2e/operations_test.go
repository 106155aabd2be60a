package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// grantNumber returns the grant number of a token, which is its index in the status list.
func grantNumber(t *testing.T, accessToken string) int64 {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(accessToken, claims); err != nil {
		t.Fatal(err)
	}
	status, _ := claims["status"].(map[string]any)
	list, _ := status["status_list"].(map[string]any)
	number, ok := list["idx"].(json.Number)
	if !ok {
		t.Fatalf("the token has no status.status_list.idx: %v", claims)
	}
	n, err := number.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRestartKeepsUsersAndGrants(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	s.admin(t, "correct horse battery\n", "user", "add", "ada", "--name", "Ada Lovelace")
	before := s.login(t, "ada", "correct horse battery")

	s.restart(t, "--demo")

	after := s.login(t, "ada", "correct horse battery")
	s.callMe(t, before, "Ada Lovelace")
	s.callMe(t, after, "Ada Lovelace")
	s.login(t, "john.doe", demoPassword)
	if b, a := grantNumber(t, before), grantNumber(t, after); a == b {
		t.Errorf("the grants before and after the restart have the same number, %d", a)
	}
}

func TestPortInUseNamesTheSetting(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	inUse := taken.Addr().String()
	auth := []string{"serve", "--keys-file", s.keysFile, "--database-url", s.database}
	api := []string{"serve", "--keys-file", s.keysFile}
	const public, admin = "--listen (HALLPASS_LISTEN)", "--admin-listen (HALLPASS_ADMIN_LISTEN)"
	for _, row := range []struct {
		program string
		flags   []string
		names   string
	}{
		{"authserver", append(auth, "--listen", inUse, "--admin-listen", s.authAdmin), public},
		{"authserver", append(auth, "--listen", s.authAddress, "--admin-listen", inUse), admin},
		{"resourceserver", append(api, "--listen", inUse, "--admin-listen", s.apiAdmin), public},
		{"resourceserver", append(api, "--listen", s.apiAddress, "--admin-listen", inUse), admin},
	} {
		t.Run(row.program+" "+row.names, func(t *testing.T) {
			got := command(t, "", row.program, row.flags...)
			if got.code != 1 {
				t.Errorf("exit code %d, want 1", got.code)
			}
			for _, part := range []string{row.names, inUse, "in use"} {
				if !strings.Contains(got.stderr, part) {
					t.Errorf("the message does not say %q: %s", part, got.stderr)
				}
			}
		})
	}
}

// inFlight returns the number of requests in flight, from the server's metrics.
func inFlight(t *testing.T, adminAddress string) string {
	t.Helper()
	got := send(t, "http://"+adminAddress, request{path: "/metrics"})
	found := regexp.MustCompile(`(?m)^http_requests_in_flight (\S+)$`).FindStringSubmatch(got.body)
	if found == nil {
		return "none"
	}
	return found[1]
}

// rawPost is a POST of a form: path, host, length of the body, body.
const rawPost = "POST %s HTTP/1.1\r\nHost: %s\r\n" +
	"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"

// pendingLogin is a login of whose request the end has not been sent.
type pendingLogin struct {
	conn net.Conn
	rest string
}

// beginLogin sends a login without the end of its body.
func beginLogin(t *testing.T, s *system) pendingLogin {
	t.Helper()
	conn, err := net.Dial("tcp", s.authAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := form("username", "john.doe", "password", demoPassword)
	half := len(r.body) / 2
	_, err = fmt.Fprintf(conn, rawPost, r.path, s.authAddress, len(r.body), r.body[:half])
	if err != nil {
		t.Fatal(err)
	}
	return pendingLogin{conn, r.body[half:]}
}

// finish sends the rest and returns the status of the response.
func (l pendingLogin) finish(t *testing.T) int {
	t.Helper()
	if _, err := io.WriteString(l.conn, l.rest); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(l.conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Logins that are in flight when SIGTERM arrives get their response, and the server then
// exits with 0.
func TestSIGTERMLetsLoginsFinish(t *testing.T) {
	t.Parallel()
	const logins = 6
	s := newSystem(t)
	s.startAuthserver(t, "--demo", "--drain-delay", "1s")
	var pending []pendingLogin
	for range logins {
		pending = append(pending, beginLogin(t, s))
	}
	all := func() bool { return inFlight(t, s.authAdmin) == strconv.Itoa(logins) }
	waitFor(t, "all logins to be in flight", all, s.authserver)
	s.authserver.signal(t, syscall.SIGTERM)
	waitFor(t, "the server to say that it is not ready", func() bool { return !isReady(s.authAdmin) }, s.authserver)
	for _, login := range pending {
		if status := login.finish(t); status != http.StatusOK {
			t.Errorf("a login in flight got %d, want 200", status)
		}
	}
	if code := s.authserver.wait(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// A load balancer that sends no requests to a server that is not ready loses none when the
// server is stopped under load.
func TestSIGTERMUnderLoadLosesNoRequest(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := newSystem(t)
	s.startAuthserver(t, "--demo")
	s.startResourceserver(t, "--drain-delay", "5s") // long enough for the load on a busy machine
	call := get("/users/me", "Bearer "+s.login(t, "john.doe", demoPassword))

	var answered atomic.Int64
	var stopping atomic.Bool
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for !stopping.Load() {
				got, err := try(t.Context(), s.apiURL, call)
				if err != nil || got.status != http.StatusOK {
					t.Errorf("a request got %d %s (%v), want 200", got.status, got.body, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	waitFor(t, "load", func() bool { return answered.Load() > 500 }, s.resourceserver)
	s.resourceserver.signal(t, syscall.SIGTERM)
	waitFor(t, "the server to say that it is not ready", func() bool { return !isReady(s.apiAdmin) }, s.resourceserver)
	afterSignal := answered.Load()
	more := func() bool { return answered.Load() > afterSignal+20 }
	waitFor(t, "requests answered while draining", more, s.resourceserver)
	stopping.Store(true)
	load.Wait()
	if code := s.resourceserver.wait(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	s.authserver.stop(t)
}

// Scripts rely on the exit codes.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.admin(t, "", "migrate")
	s.admin(t, "correct horse battery\n", "user", "add", "ada", "--name", "Ada Lovelace")
	onDatabase := func(args ...string) []string { return append(args, "--database-url", s.database) }
	for _, row := range []struct {
		name    string
		program string
		input   string
		args    []string
		want    int
	}{
		{"success", "authserver", "", onDatabase("user", "show", "ada", "--json"), 0},
		{"version", "resourceserver", "", []string{"version"}, 0},
		{"help", "resourceserver", "", []string{"serve", "--help"}, 0},
		{"no server", "authserver", "", []string{"healthcheck", "--admin-listen", s.authAdmin}, 1},
		{"no server", "resourceserver", "", []string{"healthcheck", "--admin-listen", s.apiAdmin}, 1},
		{"wrong setting", "authserver", "", onDatabase("serve", "--keys-file", s.keysFile, "--bcrypt-cost", "9"), 2},
		{"missing keys", "resourceserver", "", []string{"serve", "--keys-file", filepath.Join(t.TempDir(), "none.json")}, 2},
		{"no keys", "resourceserver", "", []string{"serve"}, 2},
		{"unknown command", "authserver", "", []string{"frobnicate"}, 2},
		{"user not found", "authserver", "", onDatabase("user", "show", "nobody"), 3},
		{"client not found", "authserver", "", onDatabase("client", "delete", "nobody"), 3},
		{"user exists already", "authserver", "another one of them\n", onDatabase("user", "add", "ada", "--name", "Ada"), 4},
		{"keys file exists already", "authserver", "", []string{"key", "init", s.keysFile}, 4},
	} {
		t.Run(row.program+": "+row.name, func(t *testing.T) {
			got := command(t, row.input, row.program, row.args...)
			if got.code != row.want {
				t.Errorf("exit code %d, want %d:\n%s%s", got.code, row.want, got.stdout, got.stderr)
			}
			if got.code != 0 && !strings.HasPrefix(got.stderr, row.program+": ") {
				t.Errorf("the error does not begin with the program's name: %q", got.stderr)
			}
		})
	}
}

// A server warns of a variable whose name is similar to one of its settings, but not of the
// settings of the other server, of compose and of scripts: they may be in one environment.
func TestWarningOfMisspeltSettings(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, name := range []string{".env.example", "docker-compose.yml", filepath.Join("deploy", "run.sh")} {
		all.WriteString(readProject(t, name))
	}
	help := map[string]string{}
	for _, program := range []string{"authserver", "resourceserver"} {
		help[program] = mustCommand(t, "", program, "serve", "--help")
		all.WriteString(help[program])
	}
	for program, own := range help {
		t.Run(program, func(t *testing.T) {
			env := []string{"HALLPASS_AUDIENZ=x"}
			for _, name := range settingName.FindAllString(all.String(), -1) {
				if !strings.Contains(own, name) {
					env = append(env, name+"=x")
				}
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), "serve", "--token-secret", "short")
			cmd.Env = cleanEnv(env...)
			out, err := cmd.CombinedOutput()
			const warning = "variable=HALLPASS_AUDIENZ setting=HALLPASS_AUDIENCE"
			if err == nil || strings.Count(string(out), "misspelt") != 1 || !strings.Contains(string(out), warning) {
				t.Errorf("with %v: %v, want one warning:\n%s", env, err, out)
			}
		})
	}
}
