package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soakFor is set by `make soak`.
var soakFor = flag.Duration("soak", 0, "how long TestSoak runs: 10m or more")

// usage is what a process uses.
type usage struct {
	memory      int64 // resident, in bytes
	descriptors int
}

var residentMemory = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// usageOf returns what a process uses now.
func usageOf(t *testing.T, p *process) usage {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	status, errStatus := os.ReadFile(dir + "status")
	files, errFiles := os.ReadDir(dir + "fd")
	found := residentMemory.FindSubmatch(status)
	if err := errors.Join(errStatus, errFiles); err != nil || found == nil {
		t.Fatalf("what %s uses: %v", p.name, err)
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return usage{kilobytes << 10, len(files)}
}

// Limits on how much more a server may use at the end of a soak than after its first round.
const (
	moreMemory      = 64 << 20
	moreDescriptors = 100
)

// TestSoak changes everything that may change under honest and hostile load, again and again: the primary of the
// database, servers of both tiers, keys, clocks, full disks. In between, when all is calm, a revoked token is refused
// by every API.
func TestSoak(t *testing.T) {
	c, f := startFleet(t, buildSteppedClock(t))
	disks := []*smallDisk{sqliteOnSmallDisk(t), postgresOnSmallDisk(t)}
	cs := startClients(t, c, 6)
	cs.attack()
	steady := []*member{c.auth[1], c.api[1]} // these are not restarted
	var first []usage
	var table []string
	before := f.timeline(t)
	for end, round := time.Now().Add(*soakFor), 0; time.Now().Before(end) && !t.Failed(); round++ {
		line := inject(t, f, cs, faults[round%len(faults)])
		f.awaitWhole(t)
		cs.restart(t, c.auth[0])
		cs.restart(t, c.api[0])
		mustCommand(t, "", "authserver", "key", "rotate", c.keysFile, "--signs-after", "30s",
			"--access-token-lifetime", fleetTokenLifetime.String())
		line += " " + cs.revokeInCalm(t, cs.auth[1]).Round(time.Millisecond).String() + " | "
		line += cs.stepClock(t, c.auth[fleetServers], round%2 == 0) + " |"
		for _, disk := range disks {
			line += " " + disk.fillAndFree(t) + " |"
		}
		cs.checkEnded(t)
		for i, m := range steady {
			used := usageOf(t, m.process)
			if len(first) < len(steady) {
				first = append(first, used)
			}
			line += fmt.Sprintf(" %s: %d MiB, %d files |", m.name, used.memory>>20, used.descriptors)
			if used.memory > first[i].memory+moreMemory || used.descriptors > first[i].descriptors+moreDescriptors {
				t.Errorf("%s uses more and more: %+v, at first %+v", m.name, used, first[i])
			}
		}
		table = append(table, line)
		t.Log(line)
	}
	f.awaitWhole(t)
	cs.check(t)
	t.Logf("%d rounds, %d failovers by themselves:\n%s",
		len(table), f.timeline(t)-before-len(table), strings.Join(table, "\n"))
}

// restart restarts a server with SIGTERM or SIGKILL. Clients may get no response meanwhile.
func (c *clients) restart(t *testing.T, m *member) {
	t.Helper()
	c.restarts.Add(1)
	signal := syscall.SIGTERM
	if rand.IntN(2) == 0 {
		signal = syscall.SIGKILL
	}
	m.process.signal(t, signal)
	m.process.wait(t)
	m.start(t)
	for i, api := range c.api {
		c.awaitLists(t, api, c.access[i])
	}
	c.awaitLoad(t)
	c.restarts.Add(1)
}

// passwordLogin logs in at a server.
func (c *clients) passwordLogin(t *testing.T, server string) tokens {
	t.Helper()
	r := c.app.tokenForm(url.Values{
		"grant_type": {"password"}, "username": {"caller0"}, "password": {demoPassword},
	}, nil)
	return untilServed(t, "a login", func() (response, error) { return try(t.Context(), server, r) }).tokens(t)
}

// revokeInCalm logs in, revokes the login at a server, and returns how long it takes until all APIs refuse its token.
func (c *clients) revokeInCalm(t *testing.T, server string) time.Duration {
	t.Helper()
	got := c.passwordLogin(t, c.auth[1])
	for _, api := range c.api {
		if r := send(t, api, get("/users/me", "Bearer "+got.access)); r.status != http.StatusOK {
			t.Errorf("a new token got %d %s", r.status, r.body)
		}
	}
	c.revokeAt(t, server, got)
	began := time.Now()
	for _, api := range c.api {
		waitFor(t, "the token to be refused", func() bool {
			return send(t, api, get("/users/me", "Bearer "+got.access)).isInvalidToken()
		})
	}
	return time.Since(began)
}

// revokeAt revokes a login at a server.
func (c *clients) revokeAt(t *testing.T, server string, login tokens) {
	t.Helper()
	r := untilServed(t, "a revocation", func() (response, error) {
		return try(t.Context(), server, revoking(c.app, login.refresh))
	})
	if r.status != http.StatusOK {
		t.Fatalf("revoking: %d %s", r.status, r.body)
	}
}
