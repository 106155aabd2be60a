package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
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
// database, servers, keys. In between, when all is calm, a revoked token is refused by every API.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("a test of `make soak`")
	}
	*runFleet = true
	c, f := startFleet(t)
	cs := startClients(t, c, 6)
	cs.attack()
	steady := []*member{c.auth[1], c.api[1]} // these are not restarted
	var first []usage
	var table []string
	for end, round := time.Now().Add(*soakFor), 0; time.Now().Before(end) && !t.Failed(); round++ {
		line := inject(t, f, cs, faults[round%len(faults)])
		f.awaitWhole(t)
		cs.restart(t, c.auth[0])
		mustCommand(t, "", "authserver", "key", "rotate", c.keysFile, "--signs-after", "5s")
		slowest := cs.revokeInCalm(t)
		cs.checkEnded(t)
		for i, m := range steady {
			used := usageOf(t, m.process)
			if len(first) < len(steady) {
				first = append(first, used)
			}
			line += fmt.Sprintf(" %s %d MiB, %d files |", m.name, used.memory>>20, used.descriptors)
			if used.memory > first[i].memory+moreMemory || used.descriptors > first[i].descriptors+moreDescriptors {
				t.Errorf("%s uses more and more: %+v, at first %+v", m.name, used, first[i])
			}
		}
		table = append(table, fmt.Sprintf("%s revoked after %v |", line, slowest.Round(time.Millisecond)))
		t.Log(table[len(table)-1])
	}
	cs.check(t)
	t.Logf("%d faults, restarts and key rotations:\n%s", len(table), strings.Join(table, "\n"))
}

// restart restarts a server in turn with SIGTERM and SIGKILL. Clients may get no response meanwhile.
func (c *clients) restart(t *testing.T, m *member) {
	t.Helper()
	c.restarting.Store(true)
	signal := syscall.SIGTERM
	if rand.IntN(2) == 0 {
		signal = syscall.SIGKILL
	}
	m.process.signal(t, signal)
	m.process.wait(t)
	m.start(t)
	c.awaitLoad(t)
	c.restarting.Store(false)
}

// revokeInCalm logs in, revokes the login, and returns how long it takes until all APIs refuse its token.
func (c *clients) revokeInCalm(t *testing.T) time.Duration {
	t.Helper()
	got := send(t, c.auth[1], c.app.tokenForm(url.Values{
		"grant_type": {"password"}, "username": {"caller0"}, "password": {demoPassword},
	}, nil)).tokens(t)
	for _, api := range c.api {
		if r := send(t, api, get("/users/me", "Bearer "+got.access)); r.status != http.StatusOK {
			t.Errorf("a new token got %d %s", r.status, r.body)
		}
	}
	if r := send(t, c.auth[1], revoking(c.app, got.refresh)); r.status != http.StatusOK {
		t.Fatalf("revoking: %d %s", r.status, r.body)
	}
	began := time.Now()
	for _, api := range c.api {
		waitFor(t, "the token to be refused", func() bool {
			return send(t, api, get("/users/me", "Bearer "+got.access)).isInvalidToken()
		})
	}
	return time.Since(began)
}

// checkEnded checks the histories that are complete, and forgets them.
func (c *clients) checkEnded(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	ended, revoked := c.ended, c.revoked
	c.ended, c.revoked = nil, nil
	c.mu.Unlock()
	c.checkAll(t, ended, revoked)
}

// attack sends what no honest client sends, until the end: garbage, guessed passwords and tokens, requests that do not
// end, and connections that are left open.
func (c *clients) attack() {
	bases := append(append([]string{}, c.auth...), c.api...)
	guesses := []request{
		form("grant_type", "password", "client_id", "fleet", "username", "mallory", "password", "guess"),
		rawForm("grant_type=refresh_token&refresh_token=hpr_" + strings.Repeat("A", 75)),
		rawForm(strings.Repeat("a=b&", 4000)),
		get("/users/me", "Bearer "+strings.Repeat("x", 4000)),
		{method: http.MethodDelete, path: "/%2e%2e/%00"},
	}
	for i, base := range bases {
		c.running.Go(func() {
			for n := i; !c.over(); n++ {
				got, err := try(c.t.Context(), base, guesses[n%len(guesses)])
				if err == nil && (got.status == http.StatusOK || got.status == http.StatusInternalServerError) {
					c.t.Errorf("a hostile request got %d %s", got.status, got.body)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
		c.running.Go(func() {
			for !c.over() {
				c.hang(strings.TrimPrefix(base, "http://"))
			}
		})
	}
}

// hang opens a connection, sends the beginning of a request and leaves it open for a second.
func (c *clients) hang(address string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer conn.Close()
	const head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n"
	_, _ = io.WriteString(conn, head+"grant_type=") // the server may have closed the connection
	<-ctx.Done()
}
