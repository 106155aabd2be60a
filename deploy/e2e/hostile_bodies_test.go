//go:build linux

package e2e_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// floods are requests that do not end: what is sent once, and then again and again.
func floods(path string) map[string][2]string {
	head := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	return map[string][2]string{
		"1 GB of body":           {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<30), "a=b&"},
		"1 GB asked for":         {head + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<30), "a=b&"},
		"chunks without end":     {chunked, "8\r\na=b&c=d&\r\n"},
		"one chunk of 1 GB":      {chunked + "40000000\r\n", "a=b&"},
		"empty chunk extensions": {chunked + "1", ";a"},
		"trailers without end":   {chunked + "1\r\na\r\n0\r\n", "A: b\r\n"},
		"a line without end":     {"POST /", "a"},
		"header without end":     {head, "A: b\r\n"},
		"one field without end":  {head + "A: ", "b"},
	}
}

// flood sends the first text and then the second, until the server closes the connection or has got 1 GB. It
// returns how much it could send and what the server responded.
func flood(t *testing.T, address string, text [2]string) (sent int64, response string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(io.LimitReader(c, 1<<20)) // ends with a reset if the server did not read all
		got <- string(all)
	}()
	block := []byte(strings.Repeat(text[1], 16<<10))
	n, err := io.WriteString(c, text[0])
	for sent = int64(n); err == nil && len(block) > 0 && sent < 1<<30; sent += int64(n) {
		n, err = c.Write(block)
	}
	return sent, <-got
}

var statusLine = regexp.MustCompile(`^HTTP/1\.[01] ([1-5]\d\d) `)

// isRefusal checks the response to a flood. Without one the server has closed the connection, which is a refusal
// as well.
func isRefusal(response string) bool {
	response = strings.TrimPrefix(response, "HTTP/1.1 100 Continue\r\n\r\n")
	found := statusLine.FindStringSubmatch(response)
	return response == "" || found != nil && found[1][0] == '4'
}

// Requests without an end are refused before much of them is read, and need little memory.
func TestHostileBodies(t *testing.T) {
	longTest(t)
	s := startDemo(t)
	// Buffers of the kernel take a few megabytes after the server has closed the connection.
	const most = 64 << 20
	for _, tt := range []struct {
		server        *process
		address, path string
	}{
		{s.authserver, s.authAddress, "/token"}, {s.authserver, s.authAddress, "/login"},
		{s.authserver, s.authAddress, "/userinfo"}, {s.authserver, s.authAddress, "/nowhere"},
		{s.authserver, s.authAdmin, "/metrics"},
		{s.resourceserver, s.apiAddress, "/items"}, {s.resourceserver, s.apiAddress, "/nowhere"},
	} {
		for what, text := range floods(tt.path) {
			sent, response := flood(t, tt.address, text)
			if sent > most || !isRefusal(response) {
				t.Errorf("%s, %s, %s: %d MiB sent, and then %.200q", tt.server.name, tt.path, what, sent>>20, response)
			}
		}
	}
	for _, p := range []*process{s.authserver, s.resourceserver} {
		t.Logf("%s: peak of %d MiB", p.name, p.peak(t)>>20)
		if p.peak(t) > containerMemory || strings.Contains(p.output.String(), "panic") {
			t.Errorf("%s used %d MiB, or has panicked:\n%s", p.name, p.peak(t)>>20, p.output)
		}
	}
}

// bombSize is how large a bomb becomes: more than a server may use.
const bombSize = containerMemory + 64<<20

// bomb returns spaces as gzip or as raw DEFLATE, in a thousandth of bombSize.
func bomb(t *testing.T, raw bool) []byte {
	t.Helper()
	var packed bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&packed)
	if raw {
		var err error
		if w, err = flate.NewWriter(&packed, flate.BestSpeed); err != nil {
			t.Fatal(err)
		}
	}
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range bombSize / len(block) {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// Compressed bodies are refused, and never expanded. The first 12 KB of the bomb are within the limit of a body, and
// would be 12 MB.
func TestHostileCompression(t *testing.T) {
	longTest(t)
	s := startDemo(t)
	token := s.login(t, "john.doe", demoPassword)
	whole := bomb(t, false)
	for _, body := range [][]byte{whole[:12<<10], whole} {
		for url, contentType := range map[string]string{
			s.authURL + "/token":      "application/x-www-form-urlencoded",
			s.authURL + "/introspect": "application/x-www-form-urlencoded",
			s.authURL + "/login":      "application/x-www-form-urlencoded",
			s.apiURL + "/items":       "application/json",
		} {
			for _, header := range []string{"Content-Encoding", "Transfer-Encoding"} {
				status := postCompressed(t, url, contentType, token, header, body)
				if status != 0 && (status < 400 || status > 499) && !(header == "Transfer-Encoding" && status == 501) {
					t.Errorf("%s, %s of %d bytes: status %d", url, header, len(body), status)
				}
			}
		}
	}
	for _, p := range []*process{s.authserver, s.resourceserver} {
		if p.peak(t) > containerMemory {
			t.Errorf("%s used %d MiB", p.name, p.peak(t)>>20)
		}
	}
}

// postCompressed returns the status of the response, or 0 if the connection broke: the server need not read the body.
func postCompressed(t *testing.T, url, contentType, token, header string, body []byte) int {
	t.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	encoding, length := "gzip", fmt.Sprintf("Content-Length: %d\r\n", len(body))
	if header == "Transfer-Encoding" {
		encoding, length = "gzip, chunked", ""
		body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	_, response := flood(t, address, [2]string{fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"+
		"Authorization: Bearer %s\r\nContent-Type: %s\r\n%s: %s\r\n%s\r\n%s", path, address, token, contentType, header,
		encoding, length, body), ""})
	found := statusLine.FindStringSubmatch(response)
	if found == nil {
		return 0
	}
	var status int
	_, _ = fmt.Sscan(found[1], &status)
	return status
}

// An encrypted token with a compressed payload (RFC 7516 section 4.1.3) is refused wherever a token can stand.
func TestHostileCompressedTokens(t *testing.T) {
	longTest(t)
	t.Parallel()
	s := startDemo(t)
	encode := base64.RawURLEncoding.EncodeToString
	jwe := encode([]byte(`{"alg":"dir","enc":"A256GCM","zip":"DEF","kid":"1"}`)) + ".." + encode(make([]byte, 12)) + "." +
		encode(bomb(t, true)[:6<<10]) + "." + encode(make([]byte, 16))
	for url, path := range map[string]string{s.apiURL: "/users/me", s.authURL: "/userinfo"} {
		if got := send(t, url, get(path, "Bearer "+jwe)); got.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	for _, fields := range [][]string{
		{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion", jwe},
		{"grant_type", "client_credentials", "client_assertion", jwe, "client_assertion_type",
			"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", jwe, "subject_token_type",
			"urn:ietf:params:oauth:token-type:access_token"},
	} {
		got := send(t, s.authURL, form(fields...))
		if got.status != http.StatusBadRequest && got.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d: %s", fields[1], got.status, got.body)
		}
	}
}
