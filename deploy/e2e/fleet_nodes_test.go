package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patroniTTL and its neighbours say how fast the fleet's database fails over. deploy/docs/failover.md explains them.
const (
	patroniTTL          = 12 * time.Second
	patroniLoopWait     = 2 * time.Second
	patroniRetryTimeout = 5 * time.Second
)

// postgresPassword is that of all roles of the fleet's database.
const postgresPassword = "fleet"

// node is a machine of the database: a network namespace with etcd, Patroni and PostgreSQL.
type node struct {
	name    string // of the namespace too
	address string
	dir     string
	link    string // the end of its cable at the switch
	started []*exec.Cmd
}

// databaseFleet is three nodes on one network, and a proxy in front of them.
type databaseFleet struct {
	nodes  []*node
	bin    string // folder of PostgreSQL's programs
	scope  string // of Patroni; also the name of the namespace with the switch
	proxy  string // address of HAProxy
	folder string
}

// startDatabaseFleet starts the nodes and the proxy, and waits until all nodes replicate. They end with the test.
func startDatabaseFleet(t *testing.T) *databaseFleet {
	t.Helper()
	f := &databaseFleet{scope: fmt.Sprintf("hp%d", os.Getpid()), bin: fleetPrograms(t), folder: openFolder(t)}
	f.removeLeftovers(t)
	prefix := f.freeNetwork(t)
	f.layNetwork(t, prefix+".1/24")
	for i := range 3 {
		f.nodes = append(f.nodes, &node{
			name: fmt.Sprintf("%sn%d", f.scope, i), link: fmt.Sprintf("port%d", i), address: fmt.Sprintf("%s.%d", prefix, 11+i),
		})
	}
	for _, n := range f.nodes {
		n.dir = filepath.Join(f.folder, n.name)
		f.connect(t, n)
		f.writeConfig(t, n)
	}
	for _, n := range f.nodes {
		n.startEtcd(t, f)
	}
	waitFor(t, "etcd", func() bool { return fleetGet(f.nodes[0].address+":2379", "/health") == http.StatusOK })
	for i, n := range f.nodes {
		n.startPatroni(t)
		if i == 0 {
			waitFor(t, "the first primary", func() bool { return f.primary() == n })
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the nodes, as Patroni sees them:\n%s", f.run("patronictl", "-c", f.nodes[0].config(), "list", "--extended"))
		}
	})
	f.awaitWhole(t)
	f.sql(t, "postgres", "CREATE ROLE hallpass LOGIN PASSWORD '"+postgresPassword+"'")
	f.sql(t, "postgres", "CREATE DATABASE hallpass OWNER hallpass")
	f.startProxy(t)
	return f
}

// fleetPrograms returns the folder of PostgreSQL's programs. It skips the test, or fails it with CI=true, if something
// is missing that the fleet needs.
func fleetPrograms(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"patroni", "patronictl", "etcd", "haproxy", "ip", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			leftOut(t, program+" is not installed")
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		leftOut(t, "PostgreSQL is not installed")
	}
	if os.Getuid() != 0 {
		leftOut(t, "network namespaces, which need root")
	}
	probe := fmt.Sprintf("hp%dprobe", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput(); err != nil {
		leftOut(t, "network namespaces: "+string(out))
	}
	_ = exec.Command("ip", "netns", "del", probe).Run()
	return found[len(found)-1]
}

// openFolder returns a folder that the user postgres can write.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fleet") //nolint:usetesting // that of t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// showLogs logs the ends of the logs of a node.
func (n *node) showLogs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"patroni.log", "etcd.log"} {
		text, err := os.ReadFile(filepath.Join(n.dir, name))
		if err == nil {
			t.Logf("end of %s of %s:\n%s", name, n.name, text[max(0, len(text)-30000):])
		}
	}
}

// run runs a command whose failure does not matter, and returns what it printed.
func (f *databaseFleet) run(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	return string(out)
}

// mustRun runs a command that must succeed.
func (f *databaseFleet) mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// writeConfig writes the configuration of Patroni.
func (f *databaseFleet) writeConfig(t *testing.T, n *node) {
	t.Helper()
	if err := os.Mkdir(n.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(n.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile("testdata/fleet/patroni.yml")
	if err != nil {
		t.Fatal(err)
	}
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	text := strings.NewReplacer(
		"SCOPE", f.scope, "NAME", n.name, "ADDRESS", n.address,
		"DIR", n.dir, "BIN", f.bin, "PASSWORD", postgresPassword,
		"TTL", seconds(patroniTTL), "LOOP", seconds(patroniLoopWait), "RETRY", seconds(patroniRetryTimeout),
	).Replace(string(template))
	if err := os.WriteFile(n.config(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (n *node) config() string { return filepath.Join(n.dir, "patroni.yml") }

// start starts a program in the namespace as the user postgres. Its output goes to a file.
func (n *node) start(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(n.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name, "setpriv", "--reuid=postgres",
		"--regid=postgres", "--clear-groups", "--pdeathsig=KILL", name}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, n.dir
	cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64", "HOME="+n.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.started = append(n.started, cmd)
}

func (n *node) startEtcd(t *testing.T, f *databaseFleet) {
	t.Helper()
	var members []string
	for _, other := range f.nodes {
		members = append(members, other.name+"=http://"+other.address+":2380")
	}
	client, peer := "http://"+n.address+":2379", "http://"+n.address+":2380"
	n.start(t, "etcd", "--name", n.name, "--data-dir", filepath.Join(n.dir, "etcd"),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--initial-cluster", strings.Join(members, ","), "--unsafe-no-fsync", "--enable-v2",
		// A busy machine must not elect another leader again and again. This is still faster than patroniTTL.
		"--heartbeat-interval", "300", "--election-timeout", "3000",
		// A member that was cut off must not end the leadership of the others. Without this, etcd was seen to have no
		// leader for 19 seconds.
		"--pre-vote")
}

func (n *node) startPatroni(t *testing.T) {
	t.Helper()
	n.start(t, "patroni", n.config())
}

// startProxy starts HAProxy, which connects clients to the primary.
func (f *databaseFleet) startProxy(t *testing.T) {
	t.Helper()
	template, err := os.ReadFile("testdata/fleet/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	f.proxy = freeAddresses(t, 1)[0]
	text := strings.Replace(string(template), "ADDRESS", f.proxy, 1)
	for _, n := range f.nodes {
		text += fmt.Sprintf("    server %s %s:5432 check port 8008\n", n.name, n.address)
	}
	file := filepath.Join(f.folder, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, "haproxy", exec.Command("haproxy", "-db", "-f", file))
	// Before its first checks, the proxy takes every node for the primary, and uses them in turn.
	waitFor(t, "the proxy to know the primary", func() bool {
		for range f.nodes {
			out, err := f.psqlAt(f.proxy, "postgres", "SELECT pg_is_in_recovery()")
			if err != nil || strings.TrimSpace(out) != "f" {
				return false
			}
		}
		return true
	})
}

// byProxy and byHosts are URLs of the database.
func (f *databaseFleet) byProxy() string { return f.url(f.proxy) }

func (f *databaseFleet) byHosts() string {
	var hosts []string
	for _, n := range f.nodes {
		hosts = append(hosts, n.address+":5432")
	}
	return f.url(strings.Join(hosts, ","))
}

func (f *databaseFleet) url(hosts string) string {
	return "postgres://hallpass:" + postgresPassword + "@" + hosts +
		"/hallpass?sslmode=disable&target_session_attrs=read-write"
}
