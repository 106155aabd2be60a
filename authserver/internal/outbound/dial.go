package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

// dialTimeout limits connecting to one of several addresses.
const dialTimeout = time.Second

// maxAddresses bounds the addresses of a name that are tried.
const maxAddresses = 8

// Resolver resolves names. *net.Resolver is one. It must be safe for concurrent use.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialFunc connects to a literal address and port.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialPublic connects to a public address. The check is on the address that the socket is about
// to connect to, so a later lookup of the name cannot change it.
func dialPublic(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, ControlContext: checkSocket}
	return d.DialContext(ctx, network, address)
}

// checkSocket is called with the address of a socket before it connects.
func checkSocket(_ context.Context, network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || (network != "tcp4" && network != "tcp6") {
		return fmt.Errorf("%w: %s %s is not an address of the Internet", ErrRefused, network, address)
	}
	return checkAddress(a.Addr())
}

// dial connects to the host of a URL. All its addresses must be public: a name that has others
// too may be an attempt to reach them.
func (k *kindState) dial(ctx context.Context, network, address string) (net.Conn, error) {
	g := k.guard
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	if g.exception.IsValid() && address == g.exception.String() {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := k.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, ip := range addresses {
		conn, err := k.dialAddress(ctx, network, ip, port)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// dialAddress connects to one address of a host, which counts as busy until the connection is closed. So do its
// neighbors: see ratelimit.SiteNetwork.
func (k *kindState) dialAddress(ctx context.Context, network string, ip netip.Addr, port string) (net.Conn, error) {
	release, err := k.shares.take("address " + ratelimit.SiteNetwork(ip.String()))
	if err != nil {
		return nil, err
	}
	conn, err := k.guard.dialPublic(ctx, network, net.JoinHostPort(ip.String(), port))
	if err != nil {
		release()
		return nil, err
	}
	return sharedConn{conn, release}, nil
}

// resolve returns the addresses of a host, which are all public, and counts a request to the
// first: strangers can make any number of names for one address.
func (k *kindState) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := checkAddress(ip); err != nil {
			return nil, err
		}
		return []netip.Addr{ip}, k.allowAddress(ip)
	}
	// The final dot keeps the resolver from trying the name in the domains of this machine.
	found, err := k.guard.resolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")+".")
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, fmt.Errorf("the name %s does not exist in the DNS", host)
		}
		return nil, fmt.Errorf("the name %s cannot be resolved: %w", host, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the name %s has no address", host)
	}
	for i, ip := range found {
		found[i] = ip.Unmap() // Go's resolver returns IPv4 addresses in this form
		if err := checkAddress(found[i]); err != nil {
			return nil, fmt.Errorf("the name %s: %w", host, err)
		}
	}
	return found[:min(len(found), maxAddresses)], k.allowAddress(found[0])
}

// allowAddress counts a request to the network of an address. The prefix keeps it apart from a host of the same text.
func (k *kindState) allowAddress(ip netip.Addr) error {
	return k.allow("address " + ratelimit.Network(ip.String()))
}
