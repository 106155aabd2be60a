package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hidden is the path of a request that is inside another one. No server may serve it as a separate request.
const hidden = "/hidden-request"

const hiddenRequest = "GET " + hidden + " HTTP/1.1\r\nHost: x\r\n\r\n"

// smuggled are requests whose end a server and a proxy could see in different places (RFC 9112 section 11.2). Each
// has a second request in its body or behind it.
var smuggled = map[string]string{
	"CL.TE": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hiddenRequest,
	"TE.CL": fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		len(hiddenRequest), hiddenRequest),
	"TE.TE": "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" +
		hiddenRequest,
	"TE with a tab":       "Transfer-Encoding:\tx\tchunked\r\nContent-Length: 3\r\n\r\na=b" + hiddenRequest,
	"TE in two lines":     "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hiddenRequest,
	"TE with a space":     "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\na=b" + hiddenRequest,
	"TE with 0x0b":        "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\na=b" + hiddenRequest,
	"two lengths":         "Content-Length: 3\r\nContent-Length: 0\r\n\r\na=b" + hiddenRequest,
	"a list of lengths":   "Content-Length: 3, 0\r\n\r\na=b" + hiddenRequest,
	"length with a sign":  "Content-Length: +3\r\n\r\na=b" + hiddenRequest,
	"bare CR":             "X: a\rContent-Length: 99\r\n\r\n" + hiddenRequest,
	"bare LF in a chunk":  "Transfer-Encoding: chunked\r\n\r\n3;a\nxx\r\n2f\r\n0\r\n\r\n" + hiddenRequest,
	"chunk size overflow": "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n0\r\n\r\n" + hiddenRequest,
	"chunk size 0x":       "Transfer-Encoding: chunked\r\n\r\n0x3\r\na=b\r\n0\r\n\r\n" + hiddenRequest,
	"no CRLF of a chunk":  "Transfer-Encoding: chunked\r\n\r\n3\r\na=bxx0\r\n\r\n" + hiddenRequest,
	"NUL in a name":       "Content-Length\x00: 3\r\nContent-Length: 99\r\n\r\na=b" + hiddenRequest,
}

// sendSmuggled sends a request to a path, and reads all responses until the connection closes. A last request makes the
// server close the connection once it has read all of the text.
func sendSmuggled(t *testing.T, address, path, rest string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	text := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" + rest +
		"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	_, _ = io.WriteString(c, strings.ReplaceAll(text, "Host: x", "Host: "+address)) // the server need not read all
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%.60q: the connection is still open", rest)
	}
	return string(got)
}

// A request that could end in two places is refused, or the connection closes after its response. What is inside it
// never becomes a request (RFC 9112 sections 6.1 and 11.2).
func TestHostileFraming(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	for _, tt := range []struct {
		server        *process
		address, path string
	}{{s.authserver, s.authAddress, "/token"}, {s.resourceserver, s.apiAddress, "/users/me"}} {
		for name, rest := range smuggled {
			got := sendSmuggled(t, tt.address, tt.path, rest)
			if strings.Count(got, "HTTP/1.1 ") != 1 || strings.Contains(tt.server.output.String(), hidden) {
				t.Errorf("%s, %s: a hidden request was served:\n%s", tt.server.name, name, got)
			}
		}
		if got := sendSmuggled(t, tt.address, tt.path, "Content-Length: 0\r\n\r\n"+hiddenRequest); // pipelined
		strings.Count(got, "HTTP/1.1 404") != 2 {
			t.Errorf("%s: the hidden request is not served where it is one:\n%s", tt.server.name, got)
		}
		waitFor(t, "the request to be logged", func() bool {
			return strings.Contains(tt.server.output.String(), hidden)
		}, tt.server)
	}
}

// Behind Caddy, the servers serve only as many hidden requests as the attacker gets responses to: no response goes to
// somebody else's connection. The next users of Caddy's connections get the right responses.
func TestHostileFramingBehindProxy(t *testing.T) {
	longTest(t)
	c := startCluster(t)
	version, _ := exec.Command("caddy", "version").Output()
	t.Logf("Caddy %s", strings.TrimSpace(string(version)))
	token := c.login(t, "john.doe", demoPassword)
	answered := 0
	for name, rest := range smuggled {
		for address, path := range map[string]string{c.authAddress: "/token", c.apiAddress: "/users/me"} {
			got := sendSmuggled(t, address, path, rest)
			answered += max(strings.Count(got, "HTTP/1.1 404")-1, 0) // the last is 404, too
		}
		c.callMe(t, token, "John Doe")
		if got := send(t, c.authURL, get("/.well-known/oauth-authorization-server")); got.status != 200 {
			t.Errorf("after %s: status %d", name, got.status)
		}
	}
	if served := c.hiddenRequests(); served != answered {
		t.Errorf("%d hidden requests were served, and the attacker got %d responses", served, answered)
	}
}

// hiddenRequests returns how many hidden requests the servers have served.
func (c *cluster) hiddenRequests() (n int) {
	for _, m := range c.all() {
		n += strings.Count(m.process.output.String(), hidden)
	}
	return n
}
