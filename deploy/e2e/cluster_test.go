package e2e_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hallpass-auth/hallpass/shared/postgrestest"
)

// cluster is several replicas of each server behind Caddy, with one PostgreSQL. Every replica
// has a loopback address of its own, as if each ran on its own machine.
type cluster struct {
	*system
	database *postgrestest.Server
	auth     []*member
	api      []*member
}

// member is a replica. It can be stopped and started.
type member struct {
	name    string
	address string // listens on ports 9000 (public) and 9001 (admin) of it
	args    []string
	program string // its path; empty for the one with the name
	process *process
}

const (
	authMembers = 2
	apiMembers  = 3
)

// start starts the server and waits until it is ready.
func (m *member) start(t *testing.T) {
	t.Helper()
	m.launch(t)
	m.awaitReady(t)
}

// launch starts the server.
func (m *member) launch(t *testing.T) {
	t.Helper()
	cmd := exec.Command(cmp.Or(m.program, filepath.Join(bin, m.name)), m.args...)
	cmd.Env = cleanEnv()
	m.process = launch(t, m.name, cmd)
}

// awaitReady waits until the server is ready.
func (m *member) awaitReady(t *testing.T) {
	t.Helper()
	waitFor(t, m.name+" to be ready", func() bool { return isReady(m.address + ":9001") }, m.process)
}

// subnet returns a part of the loopback network that no other process of tests uses: the
// replicas have the same two ports, as in containers.
func subnet() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d", 64+pid/250%128, pid%250)
}

// startCluster starts PostgreSQL, the servers and Caddy, and waits until all are ready. At the
// end of the test the servers are stopped and must exit with 0.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	caddy := caddyProgram(t)
	c := &cluster{system: newSystem(t)}
	var url string
	c.database, url = startPostgres(t)
	c.system.database = url
	common := []string{"serve", "--keys-file", c.keysFile, "--issuer", c.authURL, "--audience", c.apiURL,
		"--drain-delay", "2s", "--trusted-proxies", "127.0.0.0/8"}
	auth := append(common, "--demo", "--bcrypt-cost", "10", "--database-url", url)
	c.auth = c.members("authserver", 10, authMembers, auth)
	c.api = c.members("resourceserver", 20, apiMembers, common)
	c.launchAll(t)
	c.launchCaddy(t, caddy)
	t.Cleanup(func() {
		for _, m := range c.all() {
			if m.process.running() {
				m.process.signal(t, syscall.SIGINT)
				if code := m.process.wait(t); code != 0 {
					t.Errorf("%s at %s exited with %d", m.name, m.address, code)
				}
			}
			checkNoSecrets(t, m.process)
		}
	})
	return c
}

// caddyProgram returns the path of Caddy.
func caddyProgram(t *testing.T) string {
	t.Helper()
	caddy, err := exec.LookPath("caddy")
	if err != nil {
		leftOut(t, "Caddy is not installed")
	}
	return caddy
}

func (c *cluster) all() []*member { return append(append([]*member{}, c.auth...), c.api...) }

// members returns n replicas of a program, which are not started.
func (c *cluster) members(name string, first, n int, args []string) []*member {
	var made []*member
	for i := range n {
		address := fmt.Sprintf("%s.%d", subnet(), first+i)
		made = append(made, &member{name: name, address: address, args: append(append([]string{}, args...),
			"--listen", address+":9000", "--admin-listen", address+":9001")})
	}
	return made
}

// launchAll starts all servers before it waits for any, so that the authorization servers
// find the database empty at the same time.
func (c *cluster) launchAll(t *testing.T) {
	t.Helper()
	for _, m := range c.all() {
		m.launch(t)
	}
	for _, m := range c.all() {
		m.awaitReady(t)
	}
}

// launchCaddy starts the proxy with the snippet "replicas" of deploy/Caddyfile.
func (c *cluster) launchCaddy(t *testing.T, caddy string) {
	t.Helper()
	config := "{\n\tadmin off\n\tauto_https off\n}\n" + snippet(t, "replicas") +
		c.site(c.authAddress, c.auth) + c.site(c.apiAddress, c.api)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(caddy, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = cleanEnv("HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	version, err := exec.Command(caddy, "version").Output()
	if err != nil || strings.HasPrefix(strings.TrimPrefix(string(version), "v"), "2.6.") { // Debian's
		cmd.Env = append(cmd.Env, "REPLICAS_EXTRA=buffer_requests")
	}
	p := launch(t, "caddy", cmd)
	waitFor(t, "Caddy to pass requests on", func() bool {
		auth, errAuth := try(t.Context(), c.authURL, request{path: "/token"})
		api, errAPI := try(t.Context(), c.apiURL, request{path: "/users/me"})
		return errors.Join(errAuth, errAPI) == nil && auth.status == 405 && api.status == 401
	}, p)
}

// site returns the configuration of a proxy on the address in front of the members.
func (c *cluster) site(address string, members []*member) string {
	var upstreams []string
	for _, m := range members {
		upstreams = append(upstreams, m.address+":9000")
	}
	return fmt.Sprintf(`http://%s {
	bind %s
	reverse_proxy {
		to %s
		health_uri /readyz
		health_port 9001
		health_interval 200ms
		import replicas
	}
}
`, address, strings.Split(address, ":")[0], strings.Join(upstreams, " "))
}

// snippet returns a snippet of deploy/Caddyfile.
func snippet(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n("+name+") {\n")
	body, _, ended := strings.Cut(rest, "\n}\n")
	if !found || !ended {
		t.Fatalf("deploy/Caddyfile has no snippet (%s)", name)
	}
	return "(" + name + ") {\n" + body + "\n}\n"
}
