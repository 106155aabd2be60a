//go:build linux

package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// launchHTTP2 starts Caddy with HTTPS and its own certificate authority in front of the authorization server, with the
// options and the snippet of deploy/Caddyfile.
func launchHTTP2(t *testing.T, s *system) (caddy *process, address, version string) {
	t.Helper()
	program := caddyProgram(t)
	address = freeAddresses(t, 1)[0]
	_, port, _ := net.SplitHostPort(address)
	config := fmt.Sprintf("{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n\t"+
		"servers {\n\t\ttimeouts {\n\t\t\tread_header 5s\n\t\t\tread_body 15s\n\t\t\tidle 2m\n\t\t}\n\t}\n}\n%s\n"+
		"https://localhost:%s {\n\tbind 127.0.0.1\n\treverse_proxy %s {\n\t\timport replicas\n\t}\n}\n",
		snippet(t, "replicas"), port, s.authAddress)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = cleanEnv("HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	caddy = launch(t, "caddy", cmd)
	address = "localhost:" + port
	client := http2Client()
	waitFor(t, "Caddy to pass requests on", func() bool {
		resp, err := client.Get("https://" + address + "/jwks.json")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK && resp.ProtoMajor == 2
	}, caddy)
	out, err := exec.Command(program, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version = strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	t.Logf("Caddy %s", version)
	return caddy, address, version
}

// http2Client returns a client of its own that speaks HTTP/2, and does not check the certificate of the test's Caddy.
func http2Client() *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// http2Attack sends frames on one connection. It is over when send returns, or a write fails because Caddy has closed
// the connection.
type http2Attack struct {
	name string
	// settings are sent first.
	settings []http2.Setting
	// deaf means that nothing is read: Caddy cannot send what it has to.
	deaf bool
	// ends means that Caddy must close the connection before all is sent.
	ends bool
	// rounds is how often send is called at most.
	rounds int
	send   func(f *http2.Framer, head []byte, round int) error
}

// http2Attacks are the ways to keep a server busy that HTTP/2 adds to HTTP/1.1. Streams of clients have odd numbers. An
// old Caddy is Debian's 2.6, which reads a header without an end.
func http2Attacks(old bool) []http2Attack {
	stream := func(round int) uint32 { return uint32(2*round + 1) }
	begin := func(f *http2.Framer, head []byte, round int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream(round), BlockFragment: head, EndStream: true,
			EndHeaders: true})
	}
	n := many(5_000, 200_000)
	return []http2Attack{
		{name: "rapid reset (CVE-2023-44487)", rounds: n, send: func(f *http2.Framer, head []byte, round int) error {
			return errors.Join(begin(f, head, round), f.WriteRSTStream(stream(round), http2.ErrCodeCancel))
		}},
		{name: "resets that Caddy sends (CVE-2025-8671)", rounds: n,
			send: func(f *http2.Framer, head []byte, round int) error {
				return errors.Join(begin(f, head, round), f.WriteWindowUpdate(stream(round), 0)) // RFC 9113 section 6.9
			}},
		{name: "settings", rounds: n, send: func(f *http2.Framer, _ []byte, round int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(round)})
		}},
		{name: "settings, nothing read", rounds: many(50_000, 4_000_000), deaf: true,
			send: func(f *http2.Framer, _ []byte, round int) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(round)})
			}},
		{name: "pings, nothing read", rounds: 4_000_000, deaf: true, ends: true,
			send: func(f *http2.Framer, _ []byte, _ int) error { return f.WritePing(false, [8]byte{}) }},
		{name: "continuation without end (CVE-2023-45288)", rounds: many(2000, 20_000), ends: !old,
			send: func(f *http2.Framer, head []byte, round int) error {
				if round == 0 {
					return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
				}
				return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 1, 'a', 1, 'b'}, 3000))
			}},
		{name: "no window for responses", rounds: many(100, 1000),
			settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, send: begin},
	}
}

// dialHTTP2 opens a connection and sends the preface (RFC 9113 section 3.4).
func (a http2Attack) dialHTTP2(ctx context.Context, address string) (net.Conn, *http2.Framer, error) {
	c, err := (&tls.Dialer{Config: &tls.Config{
		NextProtos: []string{"h2"}, InsecureSkipVerify: true, // Caddy has a certificate of its own
	}}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	f := http2.NewFramer(c, c)
	f.AllowIllegalWrites = true
	_, err = io.WriteString(c, http2.ClientPreface)
	return c, f, errors.Join(err, c.SetDeadline(time.Now().Add(timeout)), f.WriteSettings(a.settings...))
}

// run makes the attack. It returns how many rounds there were, and the error code of Caddy's GOAWAY frame, if there was
// one.
func (a http2Attack) run(t *testing.T, address string) (rounds int, goAway string) {
	c, f, err := a.dialHTTP2(t.Context(), address)
	if err != nil {
		t.Errorf("%s: %v", a.name, err)
		return 0, ""
	}
	defer c.Close()
	said := make(chan string, 1)
	if a.deaf {
		said <- ""
	} else {
		go func() { said <- readGoAway(http2.NewFramer(nil, c)) }()
	}
	head := requestHead(address)
	for err == nil && rounds < a.rounds {
		err = a.send(f, head, rounds)
		rounds++
	}
	if rounds < 10 {
		t.Errorf("%s: over after %d rounds: %v", a.name, rounds, err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: neither closed nor served after %v", a.name, timeout)
	}
	if err == nil && a.ends {
		t.Errorf("%s: Caddy took all %d rounds", a.name, rounds)
	}
	c.Close()
	return rounds, <-said
}

// requestHead returns the encoded header of a request for a public document.
func requestHead(address string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0) // the same bytes mean the same each time
	for _, field := range [][2]string{
		{":method", "GET"}, {":scheme", "https"}, {":authority", address}, {":path", "/.well-known/openid-configuration"},
	} {
		_ = e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // a buffer does not fail
	}
	return b.Bytes()
}

// readGoAway reads frames until the connection ends, and returns the error code of the GOAWAY frame.
func readGoAway(f *http2.Framer) (code string) {
	for {
		frame, err := f.ReadFrame()
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			code = away.ErrCode.String()
		}
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			return code
		}
	}
}

// honestHTTP2 are requests by HTTP/2 that go on while others attack.
func honestHTTP2(address string) *honest {
	ctx, stop := context.WithCancel(context.Background())
	h := &honest{stop: stop}
	client := http2Client()
	h.ended.Go(func() {
		for ctx.Err() == nil {
			h.ask(client, "https://"+address+"/.well-known/openid-configuration", http.StatusOK)
		}
		client.CloseIdleConnections()
	})
	return h
}

// Floods of HTTP/2 frames neither stop Caddy nor keep others out, and the server behind it gets back to its usual
// number of goroutines.
func TestHostileHTTP2(t *testing.T) {
	longTest(t)
	s := startDemo(t)
	caddy, address, version := launchHTTP2(t, s)
	goroutines := gauge(t, s.authAdmin, "go_goroutines")
	for _, a := range http2Attacks(strings.HasPrefix(version, "2.6.")) {
		users := honestHTTP2(address)
		var ended atomic.Int32
		const attackers = 4
		for range attackers {
			users.ended.Go(func() {
				rounds, goAway := a.run(t, address)
				t.Logf("%s: over after %d rounds, GOAWAY %q", a.name, rounds, goAway)
				ended.Add(1)
			})
		}
		waitFor(t, a.name, func() bool {
			return ended.Load() == attackers && users.count() > many(10, 50)
		}, caddy, s.authserver)
		users.end(t, a.name)
	}
	t.Logf("Caddy: peak of %d MiB", caddy.peak(t)>>20)
	waitFor(t, "the server to have as many goroutines as before", func() bool {
		return gauge(t, s.authAdmin, "go_goroutines") <= goroutines+20
	}, s.authserver)
	for _, p := range []*process{caddy, s.authserver} {
		if strings.Contains(p.output.String(), "panic") {
			t.Errorf("%s has panicked:\n%s", p.name, p.output)
		}
	}
}
