//go:build linux

package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gauge returns the value of a metric without labels.
func gauge(t *testing.T, adminAddress, name string) int {
	t.Helper()
	text := send(t, "http://"+adminAddress, get("/metrics")).body
	found := regexp.MustCompile(`(?m)^` + name + ` ([0-9.e+]+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(value)
}

// honest are users that go on while others attack: they fetch a public document from an address of their own.
type honest struct {
	stop   context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex
	took   []time.Duration
	failed []string
}

// startHonest starts two honest users.
func startHonest(url string, status int) *honest {
	ctx, stop := context.WithCancel(context.Background())
	h := &honest{stop: stop}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: from.DialContext}}
	for range 2 {
		h.ended.Go(func() {
			for ctx.Err() == nil {
				h.ask(client, url, status)
			}
		})
	}
	return h
}

func (h *honest) ask(client *http.Client, url string, status int) {
	began, result := time.Now(), ""
	resp, err := client.Get(url)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		result = resp.Status
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = append(h.took, time.Since(began))
	if err != nil || resp.StatusCode != status {
		h.failed = append(h.failed, fmt.Sprint(result, err))
	}
}

// end stops the users. All of them must have got the right response; how long that took is logged and not judged.
func (h *honest) end(t *testing.T, during string) {
	t.Helper()
	h.stop()
	h.ended.Wait()
	if len(h.took) == 0 || len(h.failed) > 0 {
		t.Errorf("%s: %d of %d honest requests failed: %.3q", during, len(h.failed), len(h.took), h.failed)
		return
	}
	slices.Sort(h.took)
	t.Logf("%s: %d honest requests, median %v, p99 %v", during, len(h.took), h.took[len(h.took)/2],
		h.took[len(h.took)*99/100])
}

// hostileConnections are what connections send: part of a request, or requests whose responses nobody reads.
func hostileConnections(path string) map[string]string {
	head := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	return map[string]string{
		"idle":            "",
		"part of a line":  "GET ",
		"part of a head":  head,
		"part of a body":  head + "Content-Length: 16000\r\n\r\na=",
		"part of a chunk": head + "Transfer-Encoding: chunked\r\n\r\n3e80\r\na=",
		"responses that nobody reads": strings.Repeat("GET /.well-known/oauth-authorization-server HTTP/1.1\r\n"+
			"Host: x\r\n\r\n", 100),
	}
}

var fullAttack = flag.Bool("hostile", false, "attack with as much as deploy/docs/security.md says: make test-hostile")

// many returns how much of something an attack has: few in `make test-all`, which must not take long.
func many(few, full int) int {
	if *fullAttack {
		return full
	}
	return few
}

// connections returns how many connections of a kind an attack opens. They come from 100 addresses, so that none has
// more than its share.
func connections(t *testing.T, kind string) int {
	t.Helper()
	n := many(300, 1500)
	if kind == "idle" {
		n = many(300, 10_000)
	}
	return min(n, fileLimit(t, n+500)-500)
}

// fileLimit raises the limit of open files of this process to n, and returns the limit. It logs if it cannot.
func fileLimit(t *testing.T, n int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(n) {
		raised := syscall.Rlimit{Cur: uint64(n), Max: max(limit.Max, uint64(n))}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			limit = raised
		} else {
			t.Logf("fewer connections than wanted: only %d files may be open, and the limit cannot be raised to %d: %v",
				limit.Cur, n, err)
		}
	}
	return int(min(limit.Cur, 1<<20))
}

// Many connections that are idle, slow or do not read keep no honest user out. Once they are gone, the server
// has as many goroutines and files as before.
func TestHostileConnections(t *testing.T) {
	longTest(t)
	s := startDemo(t)
	for _, tt := range []struct {
		server         *process
		address, admin string
		path, url      string
		status         int
	}{
		{s.authserver, s.authAddress, s.authAdmin, "/token", s.authURL + "/.well-known/oauth-authorization-server", 200},
		{s.resourceserver, s.apiAddress, s.apiAdmin, "/items", s.apiURL + "/.well-known/oauth-protected-resource", 200},
	} {
		usual := startHonest(tt.url, tt.status)
		waitFor(t, "honest requests", func() bool { return usual.count() > many(20, 200) }, tt.server)
		usual.end(t, tt.server.name+", usual")
		goroutines, files := gauge(t, tt.admin, "go_goroutines"), gauge(t, tt.admin, "process_open_fds")
		for what, text := range hostileConnections(tt.path) {
			users := startHonest(tt.url, tt.status)
			end := attack(t, tt.address, connections(t, what), 100, text)
			seen := users.count()
			waitFor(t, "honest requests", func() bool { return users.count() > seen+many(10, 50) }, tt.server)
			users.end(t, tt.server.name+", "+what)
			end()
		}
		const more = 20 // idle connections of the tests, and what the runtime keeps
		waitFor(t, tt.server.name+" to have as many goroutines and files as before", func() bool {
			return gauge(t, tt.admin, "go_goroutines") <= goroutines+more &&
				gauge(t, tt.admin, "process_open_fds") <= files+more
		}, tt.server)
		t.Logf("%s: %d goroutines and %d files before, peak of %d MiB", tt.server.name, goroutines, files,
			tt.server.peak(t)>>20)
		if log := tt.server.output.String(); strings.Contains(log, "panic") {
			t.Errorf("%s has panicked:\n%s", tt.server.name, log)
		}
	}
}

func (h *honest) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.took)
}
