package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
)

// CheckAddress is checkAddress.
func CheckAddress(ip netip.Addr) error { return checkAddress(ip) }

// DialPublic is dialPublic, which the guard calls with addresses that it has checked.
func DialPublic(ctx context.Context, network, address string) (net.Conn, error) {
	return dialPublic(ctx, network, address)
}

// SetDial replaces dialPublic, and trusts a certificate for requests of a kind.
func SetDial(g *Guard, kind *Kind, roots *x509.CertPool,
	dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	g.dialPublic = dial
	transport, _ := g.state(kind).client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// MaxAtOnce, MaxOfStranger and HostBurst are the limits.
const (
	MaxAtOnce     = maxAtOnce
	MaxOfStranger = maxOfStranger
	HostBurst     = hostBurst
)

// CheckURL is checkURL.
var CheckURL = checkURL
