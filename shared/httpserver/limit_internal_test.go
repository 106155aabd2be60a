package httpserver

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
)

// limited is a limitListener on the loopback interface and the connections that it accepts.
type limited struct {
	t *testing.T
	*limitListener
	accepted chan net.Conn
	count    *atomic.Int64 // of refused connections
}

func listenLimited(t *testing.T, limit int, trusted ...netip.Prefix) *limited {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := new(atomic.Int64)
	l := &limited{t, newLimitListener(inner, limit, trusted, func() { count.Add(1) }), make(chan net.Conn), count}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			l.accepted <- c
		}
	}()
	return l
}

// dial connects from the address.
func (l *limited) dial(from string) net.Conn {
	l.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(l.t.Context(), "tcp", l.Addr().String())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

// connect connects from the address and returns both ends of the accepted connection.
func (l *limited) connect(from string) (client, server net.Conn) {
	l.t.Helper()
	client = l.dial(from)
	return client, <-l.accepted
}

// expectRefused checks that a connection from the address gets a whole 503 and is closed.
func (l *limited) expectRefused(from string) {
	l.t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(l.dial(from)), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusServiceUnavailable ||
		response.Header.Get("Retry-After") == "" || !response.Close {
		l.t.Errorf("the response is %s %v, error %v", response.Status, response.Header, err)
	}
}

func (l *limited) expectCount(want int64) {
	l.t.Helper()
	if got := l.count.Load(); got != want {
		l.t.Errorf("%v connections were counted as refused, want %v", got, want)
	}
}

// One address may use every place. Its next connection is refused until one closes.
func TestConnectionsOfAListenerAreLimited(t *testing.T) {
	l := listenLimited(t, 2)
	_, first := l.connect("127.0.0.1")
	l.connect("127.0.0.1")
	l.expectRefused("127.0.0.1")
	_ = first.Close()
	_ = first.Close() // net/http may close twice: one place comes back
	l.connect("127.0.0.1")
	l.expectRefused("127.0.0.1")
	l.expectCount(2)
}

// When all places are used, an address with few connections takes the place of the newest
// connection of the address with most.
func TestFullListenerIsSharedBetweenAddresses(t *testing.T) {
	l := listenLimited(t, 4)
	l.connect("127.0.0.1")
	l.connect("127.0.0.2")
	l.connect("127.0.0.1")
	newest, replaced := l.connect("127.0.0.1")
	l.connect("127.0.0.3")
	if _, err := newest.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the newest connection was not closed: %v", err)
	}
	_ = replaced.Close()         // its place was given away before
	l.expectRefused("127.0.0.2") // it would have as many as 127.0.0.1
	l.expectRefused("127.0.0.1")
	l.connect("127.0.0.4")       // 127.0.0.1 has two
	l.expectRefused("127.0.0.5") // all have one
	l.expectCount(5)
}

// Connections of trusted proxies are not replaced, and replace those of other addresses.
func TestFullListenerPrefersTrustedProxies(t *testing.T) {
	l := listenLimited(t, 3, netip.MustParsePrefix("127.0.0.1/32"))
	l.connect("127.0.0.1")
	l.connect("127.0.0.1")
	l.connect("127.0.0.2")
	l.expectRefused("127.0.0.3")
	l.connect("127.0.0.1")
	l.expectRefused("127.0.0.1")
	l.expectRefused("127.0.0.2")
}

func TestNetworkOfAnIPv6AddressIsItsPrefix(t *testing.T) {
	l := &limitListener{}
	network := func(address string) netip.Prefix { return l.network(&net.TCPAddr{IP: net.ParseIP(address), Port: 1}) }
	if network("2001:db8::1") != network("2001:db8::ffff:2") || network("2001:db8::1") == network("2001:db8:0:1::1") {
		t.Error("IPv6 addresses are not counted by their /64 prefix")
	}
	if network("192.0.2.1") == network("192.0.2.2") || network("::ffff:192.0.2.1") != network("192.0.2.1") {
		t.Error("IPv4 addresses are not counted one by one")
	}
}

func TestDefaultConnections(t *testing.T) {
	const unlimited = math.MaxInt64
	for _, tt := range []struct {
		memory, files int64
		want          int
	}{
		{unlimited, unlimited, 10_000},
		{64 << 30, unlimited, 10_000},
		{256 << 20 * 85 / 100, unlimited, 371}, // a container of 256 MiB
		{8 << 20, unlimited, 32},
		{unlimited, 1024, 512},
		{256 << 20 * 85 / 100, 1024, 371},
		{unlimited, 20, 32},
	} {
		if got := defaultConnections(tt.memory, tt.files); got != tt.want {
			t.Errorf("with %d bytes and %d files: %d connections, want %d", tt.memory, tt.files, got, tt.want)
		}
	}
	if openFiles() < 20 {
		t.Errorf("%d files may be open", openFiles())
	}
}

// net/http looks for these methods of a connection.
var _ interface {
	io.ReaderFrom
	CloseWrite() error
	syscall.Conn
} = (*limitedConn)(nil)
