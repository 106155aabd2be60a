package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sendRaw sends text on a connection of its own and returns the final responses, until the
// server closes the connection or has sent most of them. closed reports which.
func sendRaw(t *testing.T, address, text string, most int) (responses []response, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }() // the server need not read all
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, nil)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
			return responses, true
		}
		if err != nil {
			t.Fatalf("response %d to %.60q: %v", len(responses)+1, text, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("response %d to %.60q: %v", len(responses)+1, text, err)
		}
		if resp.StatusCode < 200 {
			continue // 100 Continue
		}
		responses = append(responses, response{status: resp.StatusCode, header: resp.Header, body: string(body)})
		if len(responses) == most && !resp.Close {
			return responses, false
		}
	}
}

const (
	rawHost   = "Host: x\r\n"
	rawForm17 = rawHost + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 17408\r\n"
	rawForm3  = rawHost + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n"
)

// Requests that no browser sends get one clear response each, and none is taken for two. After
// a request whose end is not certain, the connection closes (RFC 9112 section 9.3).
func TestRawRequests(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	const open, closed = false, true
	const jwks = "GET /jwks.json HTTP/1."
	for _, tt := range []struct {
		text   string
		want   []int
		closed bool
	}{
		{jwks + "0\r\n\r\n", []int{200}, closed},
		{jwks + "0\r\nConnection: keep-alive\r\n\r\n", []int{200}, open},
		{strings.Repeat(jwks+"1\r\n"+rawHost+"\r\n", 3), []int{200, 200, 200}, open}, // pipelined
		{jwks + "1\r\n" + rawHost + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", []int{200}, open},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}, closed},
		{"GET /\r\n", []int{400}, closed},                                            // HTTP/0.9
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}, closed}, // TLS

		{"GET / HTTP/1.1\r\n" + rawHost + strings.Repeat("a:\r\n", 6000) + "\r\n", []int{431}, closed},
		{"GET /" + strings.Repeat("a", 30000) + " HTTP/1.1\r\n" + rawHost + "\r\n", []int{431}, closed},
		{"GET / HTTP/1.1\r\n" + rawHost + "A : b\r\n\r\n", []int{400}, closed},
		{"GET / HTTP/1.1\r\n" + rawHost + "A: b\x00\r\n\r\n", []int{400}, closed},

		{"GET / HTTP/1.1\r\n\r\n", []int{400}, closed},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}, closed},
		{"GET / HTTP/1.1\r\nHost: a/b?c@d\r\n\r\n", []int{400}, closed},
		{"GET http://other.example/jwks.json HTTP/1.1\r\n" + rawHost + "\r\n", []int{200}, open},
		{"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n", []int{404}, open},
		{"OPTIONS * HTTP/1.1\r\n" + rawHost + "\r\n", []int{404}, open},
		{"GET //evil.example/%2e%2e HTTP/1.1\r\n" + rawHost + "\r\n", []int{404}, open},
		{"GET /../../etc/passwd HTTP/1.1\r\n" + rawHost + "\r\n", []int{404}, open},
		{"TRACE / HTTP/1.1\r\n" + rawHost + "Cookie: secret\r\n\r\n", []int{405}, open},

		{"POST /token HTTP/1.1\r\n" + rawForm3 + "Expect: 100-continue\r\n\r\na=b", []int{400}, open},
		{"POST /token HTTP/1.1\r\n" + rawForm3 + "Expect: 200-ok\r\n\r\na=b", []int{417}, closed},
		{"POST /token HTTP/1.1\r\n" + rawForm3 + "Content-Length: 4\r\n\r\na=b", []int{400}, closed},
		{"POST /token HTTP/1.1\r\n" + rawHost + "Content-Length: -3\r\n\r\na=b", []int{400}, closed},
		{"POST /token HTTP/1.1\r\n" + rawHost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", []int{501}, closed},
		{"POST /token HTTP/1.1\r\n" + rawHost + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", []int{400}, closed},
	} {
		responses, closed := sendRaw(t, s.authAddress, tt.text, len(tt.want))
		var got []int
		for _, r := range responses {
			got = append(got, r.status)
			if strings.Contains(r.body, "secret") || r.header.Get("Location") != "" {
				t.Errorf("%.60q: %v %s", tt.text, r.header, r.body)
			}
		}
		if !slices.Equal(got, tt.want) || closed != tt.closed {
			t.Errorf("%.60q: %v, closed %v; want %v, closed %v", tt.text, got, closed, tt.want, tt.closed)
		}
	}
}

// After a body that is too large the connection closes at every endpoint, also if the body is
// not read.
func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	kb17, kb300 := strings.Repeat("x", 17<<10), strings.Repeat("x", 300<<10)
	expect := func(address, text string, want int) {
		t.Helper()
		got, closed := sendRaw(t, address, text, 1)
		if len(got) != 1 || got[0].status != want || !closed {
			t.Errorf("%.60q: %v, closed %v; want %d and closed", text, got, closed, want)
		}
	}
	for _, path := range []string{"/token", "/revoke", "/introspect", "/login", "/consent", "/logout"} {
		expect(s.authAddress, "POST "+path+" HTTP/1.1\r\n"+rawForm17+"\r\n"+kb17, 400)
		expect(s.authAddress, "POST "+path+" HTTP/1.1\r\n"+rawForm17+"Expect: 100-continue\r\n\r\n"+kb17, 400)
		chunked := strings.Replace(rawForm17, "Content-Length: 17408", "Transfer-Encoding: chunked", 1)
		expect(s.authAddress, "POST "+path+" HTTP/1.1\r\n"+chunked+"\r\n4400\r\n"+kb17+"\r\n0\r\n\r\n", 400)
	}
	part := "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n" + kb17 + "\r\n--b--\r\n"
	expect(s.authAddress, fmt.Sprintf("POST /token HTTP/1.1\r\n%sContent-Type: multipart/form-data; boundary=b\r\n"+
		"Content-Length: %d\r\n\r\n%s", rawHost, len(part), part), 400)
	unread := " HTTP/1.1\r\n" + "Host: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n" + kb300
	for address, targets := range map[string]map[string]int{
		s.authAddress: {"GET /": 200, "POST /": 405, "POST /nowhere": 404, "POST /token?a=b": 400, "POST /token": 400,
			"GET /userinfo": 401},
		s.apiAddress: {"GET /users/me": 401, "POST /users/me": 405, "PUT /nowhere": 404},
		s.authAdmin:  {"GET /healthz": 200, "POST /metrics": 405, "POST /nowhere": 404},
	} {
		for target, want := range targets {
			expect(address, target+unread, want)
		}
	}
}
