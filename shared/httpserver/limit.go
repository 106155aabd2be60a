package httpserver

import (
	"math"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// refusal is sent on a connection that is over the limit, before it is closed.
const refusal = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Type: application/problem+json\r\n" +
	"Content-Length: 95\r\n" +
	"Retry-After: 1\r\n" +
	"Connection: close\r\n\r\n" +
	`{"title":"Service Unavailable","status":503,"detail":"Too many connections: try again later"}` + "\r\n"

// heldByConnection is what a connection may hold in memory at worst, as measured: 290 KB, if the client sends
// header fields of six bytes, as many as maxHeaderBytes allows, and then most of a body of
// 16 KB. With one long field instead it is 54 KB.
const heldByConnection = 300 << 10

// Bounds of the default for the number of connections. The upper one applies if neither
// memory nor files are limited.
const (
	leastConnections = 32
	mostConnections  = 10_000
)

// maxAdminConnections bounds the connections of the admin listener.
const maxAdminConnections = 64

// defaultConnections returns how many connections take at most half of the memory limit of
// the Go runtime and half of the files. The garbage collector needs the rest of the memory,
// and the database and the log the rest of the files.
func defaultConnections(memoryLimit, files int64) int {
	most := int64(mostConnections)
	if memoryLimit != math.MaxInt64 {
		most = min(most, memoryLimit/2/heldByConnection)
	}
	return int(max(min(most, files/2), leastConnections))
}

// maxConnections returns the setting, or its default.
func (s *Settings) maxConnections() int {
	if s.MaxConnections > 0 {
		return s.MaxConnections
	}
	return defaultConnections(debug.SetMemoryLimit(-1), openFiles()) // a negative value changes nothing
}

// newRefusedCounter returns the metric of connections over a limit.
func newRefusedCounter(reg prometheus.Registerer) *prometheus.CounterVec {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_connections_refused_total",
		Help: "Connections closed because too many were open, by listener.",
	}, []string{"listener"})
	reg.MustRegister(refused)
	return refused
}

// limitListener bounds the connections of a listener, so that a flood of them takes no more
// memory than the limit allows. A client network alone may use every place. When all are
// used, a connection from a network with fewer replaces the newest of the network with
// most, and one from the network with most gets 503 and is closed.
//
// Trusted proxies carry the requests of many clients: their connections are never
// replaced.
type limitListener struct {
	*net.TCPListener
	max     int
	trusted []netip.Prefix
	refused func() // counts a connection

	mu        sync.Mutex
	open      int
	byNetwork map[netip.Prefix][]*limitedConn // oldest first; trusted proxies have the zero Prefix
}

func newLimitListener(
	l net.Listener, limit int, trusted []netip.Prefix, refused func(),
) *limitListener {
	return &limitListener{
		TCPListener: l.(*net.TCPListener),
		max:         limit,
		trusted:     trusted,
		refused:     refused,
		byNetwork:   map[netip.Prefix][]*limitedConn{},
	}
}

// Accept returns the next connection that is within the limit.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		c := &limitedConn{TCPConn: tcp, listener: l, network: l.network(tcp.RemoteAddr())}
		replaced, ok := l.add(c)
		if replaced != nil {
			l.refused()
			_ = replaced.TCPConn.Close()
		}
		if ok {
			return c, nil
		}
		l.refused()
		refuse(tcp)
	}
}

// network returns what an address is counted under: the address for IPv4, its /64 for IPv6,
// and the zero Prefix for a trusted proxy.
func (l *limitListener) network(remote net.Addr) netip.Prefix {
	a, ok := parseAddress(remote.String())
	if !ok || trusted(remote.String(), l.trusted) {
		return netip.Prefix{}
	}
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// add counts c and reports whether there is a place for it. If it takes the place of
// another connection, that one is returned and no longer counted.
func (l *limitListener) add(c *limitedConn) (replaced *limitedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max {
		replaced = l.newestOfMost()
		if replaced == nil || c.network.IsValid() &&
			len(l.byNetwork[replaced.network]) <= len(l.byNetwork[c.network])+1 {
			return nil, false
		}
		l.remove(replaced)
	}
	l.open++
	l.byNetwork[c.network] = append(l.byNetwork[c.network], c)
	return replaced, true
}

// newestOfMost returns the newest connection of the network that has most, or nil if
// trusted proxies have all.
func (l *limitListener) newestOfMost() (newest *limitedConn) {
	most := 0
	for network, conns := range l.byNetwork {
		if network.IsValid() && len(conns) > most {
			most, newest = len(conns), conns[len(conns)-1]
		}
	}
	return newest
}

// remove gives the place of c back, once.
func (l *limitListener) remove(c *limitedConn) {
	conns := l.byNetwork[c.network]
	i := slices.Index(conns, c)
	if i < 0 {
		return // it was replaced, or is closed twice
	}
	l.open--
	if conns = slices.Delete(conns, i, i+1); len(conns) == 0 {
		delete(l.byNetwork, c.network)
		return
	}
	l.byNetwork[c.network] = conns
}

// refuse responds with 503 and closes. The response fits into the empty buffer of the
// socket, so writing it does not wait for the peer.
func refuse(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(refusal))
	_ = c.Close()
}

// limitedConn gives its place back when it is closed. It has all methods of *net.TCPConn:
// net/http looks for CloseWrite and ReadFrom.
type limitedConn struct {
	*net.TCPConn
	listener *limitListener
	network  netip.Prefix
}

// Close closes the connection and gives its place back.
func (c *limitedConn) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	return c.TCPConn.Close()
}
