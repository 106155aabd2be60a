package e2e_test

import (
	"flag"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Flags of `make test-fleet` and `make soak`.
var (
	runFleet    = flag.Bool("fleet", false, "run the tests of failover and of full disks: deploy/docs/failover.md")
	fleetFaults = flag.String("fleet-faults", "", "inject only the fault with this name")
	fleetRounds = flag.Int("fleet-rounds", 3, "how often each fault is injected")
)

// fault makes the primary of the fleet fail, and repairs it.
type fault struct {
	name   string
	fail   func(*testing.T, *databaseFleet, *node)
	repair func(*testing.T, *databaseFleet, *node)
	goesOn bool // the node, which may become the primary again if the next one fails at once
}

var faults = []fault{
	{
		name: "killed",
		fail: func(_ *testing.T, _ *databaseFleet, n *node) { n.signal(syscall.SIGKILL) },
		repair: func(t *testing.T, f *databaseFleet, n *node) {
			n.startEtcd(t, f)
			n.startPatroni(t)
		},
	},
	{
		name:   "stopped",
		fail:   func(_ *testing.T, _ *databaseFleet, n *node) { n.signal(syscall.SIGSTOP) },
		repair: func(_ *testing.T, _ *databaseFleet, n *node) { n.signal(syscall.SIGCONT) },
	},
	{
		name: "cut off",
		fail: func(t *testing.T, f *databaseFleet, n *node) {
			f.mustRun(t, "ip", "-n", f.scope, "link", "set", n.link, "down")
		},
		repair: func(t *testing.T, f *databaseFleet, n *node) {
			f.mustRun(t, "ip", "-n", f.scope, "link", "set", n.link, "up")
		},
	},
	{
		name: "switched over",
		fail: func(t *testing.T, f *databaseFleet, n *node) {
			// Patroni may refuse for a moment, and says so with exit code 0.
			waitFor(t, "a switchover", func() bool {
				out := f.run("patronictl", "-c", n.config(), "switchover", f.scope, "--force")
				return strings.Contains(out, "Successfully") || f.primary(n) != nil
			})
		},
		repair: func(*testing.T, *databaseFleet, *node) {},
		goesOn: true,
	},
}

// fleetGrace is the grace period of refresh tokens: the longest one.
const fleetGrace = 5 * time.Minute

// fleetTokenLifetime is longer than a soak: the tokens for calls to the APIs are never renewed.
const fleetTokenLifetime = 4 * time.Hour

// fleetServers is how many authorization servers the clients of a fleet use.
const fleetServers = 2

// startFleet starts two servers of each tier on a database fleet. The first authorization server connects through the
// proxy, the second one has all nodes in its URL. With a path of the program steppedclock, a third one has its clock.
func startFleet(t *testing.T, steppedClock string) (*cluster, *databaseFleet) {
	t.Helper()
	f := startDatabaseFleet(t)
	c := &cluster{system: newSystem(t)}
	c.system.database = f.byHosts()
	common := []string{"serve", "--keys-file", c.keysFile, "--issuer", c.authURL, "--audience", c.apiURL,
		"--drain-delay", "0s", "--trusted-proxies", "127.0.0.0/8"}
	auth := append(slices.Clone(common), "--demo", "--bcrypt-cost", "10", "--refresh-grace", fleetGrace.String(),
		"--access-token-lifetime", fleetTokenLifetime.String(),
		"--database-connect-timeout", "3s", "--database-statement-timeout", "2s")
	c.auth = c.members("authserver", 10, fleetServers, auth)
	for i, url := range []string{f.byProxy(), f.byHosts()} {
		c.auth[i].args = append(c.auth[i].args, "--database-url", url)
	}
	if steppedClock != "" {
		m := c.members("authserver", 12, 1, append(auth, "--database-url", f.byHosts()))[0]
		m.program = steppedClock
		c.auth = append(c.auth, m)
	}
	c.api = c.members("resourceserver", 20, 2, append(slices.Clone(common), "--keys-file", c.apiKeysFile()))
	c.launchAll(t)
	c.launchCaddy(t, caddyProgram(t))
	return c, f
}

// TestFleet lets the primary of a database fail in each way, again and again, under load. The API tier notices nothing,
// no token request gets a wrong response, and nothing is lost that was acknowledged.
func TestFleet(t *testing.T) {
	c, f := startFleet(t, "")
	cs := startClients(t, c, 6)
	before := f.timeline(t)
	var table []string
	for round := range *fleetRounds {
		for _, fault := range faults {
			if t.Failed() || (*fleetFaults != "" && *fleetFaults != fault.name) {
				continue
			}
			line := inject(t, f, cs, fault)
			t.Logf("round %d, %s", round+1, line)
			table = append(table, line)
		}
	}
	f.awaitWhole(t)
	cs.check(t)
	t.Logf("faults:\n%s\n%s", tableHead, strings.Join(table, "\n"))
	t.Logf("%d failovers by themselves", f.timeline(t)-before-len(table))
}

// tableHead is the head of the table of what inject returns.
const tableHead = "| Fault | new primary after | it takes a write | tokens through the proxy | " +
	"tokens with several hosts |\n| --- | --- | --- | --- | --- |"

// slowFailover is how long tokens may wait for a new primary until the logs of all nodes are shown.
const slowFailover = 5 * time.Second

// inject injects one fault, waits until both servers have issued tokens again, and repairs the node. It returns what it
// has measured: the time from the fault to the new primary, and three times from then on.
func inject(t *testing.T, f *databaseFleet, cs *clients, fault fault) string {
	t.Helper()
	cs.awaitLoad(t)
	old, timeline := f.awaitWhole(t), f.timeline(t)
	began := time.Now()
	fault.fail(t, f, old)
	waitFor(t, "a new primary", func() bool {
		return f.primary(old) != nil || fault.goesOn && f.wasPromoted(old, timeline)
	})
	promoted := time.Now()
	since := func(at time.Time) string { return at.Sub(promoted).Round(10 * time.Millisecond).String() }
	times := []string{fault.name, promoted.Sub(began).Round(10 * time.Millisecond).String()}
	waitFor(t, "a write", func() bool {
		_, err := f.psql(f.primaryAfter(old), "postgres",
			"CREATE TABLE IF NOT EXISTS probe (n INT); INSERT INTO probe VALUES (1)")
		return err == nil
	})
	times = append(times, since(time.Now()))
	for server := range cs.auth {
		var at time.Time
		waitFor(t, "tokens", func() bool {
			at = cs.counts.since(server, promoted)
			return !at.IsZero()
		})
		times = append(times, since(at))
	}
	if slow := time.Since(promoted); slow > slowFailover {
		t.Logf("%s: no tokens for %v after the promotion", fault.name, slow)
		for _, n := range f.nodes {
			n.showLogs(t)
		}
	}
	cs.awaitLoad(t)
	fault.repair(t, f, old)
	return "| " + strings.Join(times, " | ") + " |"
}
