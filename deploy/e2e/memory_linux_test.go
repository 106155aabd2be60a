package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// containerMemory is the memory of a server's container in docker-compose.yml. The memory
// limit of the Go runtime is 85 percent of it.
const (
	containerMemory = 256 << 20
	runtimeMemory   = containerMemory / 100 * 85
)

// hostileRequests make a server hold as much memory as it can for a request whose body does
// not end: headers as long as the server allows, and 15 of 16 KB of body.
func hostileRequests(path string) map[string]string {
	const header = 19 << 10
	const letters = "abcdefghijklmnopqrstuvwxyz"
	head := func() *strings.Builder {
		b := new(strings.Builder)
		fmt.Fprintf(b, "POST %s HTTP/1.1\r\nHost: hallpass\r\nContent-Length: 16384\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\n", path)
		return b
	}
	body := "\r\n" + strings.Repeat("x", 15<<10)
	long, many := head(), head()
	fmt.Fprintf(long, "X: %s\r\n", strings.Repeat("x", header-long.Len()))
	for i := 0; many.Len() < header; i++ {
		fmt.Fprintf(many, "%c%c%c:\r\n", letters[i%26], letters[i/26%26], letters[i/26/26%26])
	}
	return map[string]string{"one long header field": long.String() + body, "many header fields": many.String() + body}
}

// attack opens n connections from as many addresses as given, sends the text on each and
// leaves them open until end is called.
func attack(t *testing.T, address string, n, addresses int, text string) (end func()) {
	t.Helper()
	var senders sync.WaitGroup
	conns := make(chan net.Conn, n)
	places := make(chan struct{}, 32)
	for i := range n {
		places <- struct{}{}
		senders.Go(func() {
			defer func() { <-places }()
			from := net.IPv4(127, 0, 100, byte(1+i%addresses))
			c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			conns <- c
			_, _ = io.WriteString(c, text) // fails if the server has closed the connection
		})
	}
	senders.Wait()
	close(conns)
	return func() {
		for c := range conns {
			_ = c.Close()
		}
	}
}

var peakMemory = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the most memory that the process has used, in bytes.
func (p *process) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := peakMemory.FindSubmatch(status)
	if found == nil {
		t.Fatalf("no peak memory in:\n%s", status)
	}
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// A server in a container of 256 MiB stays below that with 2,000 connections at a time that
// send as much as they can, and serves requests from other addresses meanwhile.
func TestMemoryUnderAttack(t *testing.T) {
	longTest(t)
	t.Setenv("GOMEMLIMIT", strconv.Itoa(runtimeMemory))
	s := startDemo(t)
	token := s.login(t, "john.doe", demoPassword)
	honest := &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext,
		},
	}
	for _, tt := range []struct {
		server            *process
		address, adminURL string
		path              string
		ask               func() (*http.Response, error)
	}{
		{s.authserver, s.authAddress, "http://" + s.authAdmin, "/token", func() (*http.Response, error) {
			return honest.Post(s.authURL+"/token", "application/x-www-form-urlencoded",
				strings.NewReader("username=john.doe&password="+demoPassword))
		}},
		{s.resourceserver, s.apiAddress, "http://" + s.apiAdmin, "/items/1", func() (*http.Response, error) {
			req, err := http.NewRequest(http.MethodGet, s.apiURL+"/users/me", nil)
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Bearer "+token)
			return honest.Do(req)
		}},
	} {
		for what, text := range hostileRequests(tt.path) {
			for _, addresses := range []int{1, 200} {
				end := attack(t, tt.address, 2000, addresses, text)
				resp, err := tt.ask()
				end()
				if err != nil {
					t.Errorf("%s, %s from %d addresses: %v", tt.server.name, what, addresses, err)
					continue
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s, %s from %d addresses: %s", tt.server.name, what, addresses, resp.Status)
				}
			}
		}
		peak := tt.server.peak(t)
		t.Logf("%s: peak of %d MiB", tt.server.name, peak>>20)
		if peak > containerMemory {
			t.Errorf("%s used %d MiB", tt.server.name, peak>>20)
		}
		metrics := send(t, tt.adminURL, get("/metrics")).body
		if !regexp.MustCompile(`(?m)^http_connections_refused_total{listener="public"} [1-9]`).MatchString(metrics) {
			t.Errorf("%s counts no refused connection", tt.server.name)
		}
	}
}
