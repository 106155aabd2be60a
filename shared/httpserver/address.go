package httpserver

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Host returns an address such as that of http.Request.RemoteAddr without its port.
func Host(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// ownAddress returns address, HOST:PORT, with HOST replaced by this machine's address in it if
// HOST is a network such as 10.0.1.0/24. Containers do not know their addresses in advance.
func ownAddress(setting, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !strings.Contains(host, "/") {
		return address, err
	}
	network, err := netip.ParsePrefix(host)
	if err != nil {
		return "", fmt.Errorf("%s: %q is not a network like 10.0.1.0/24", setting, host)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	for _, a := range own {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && network.Contains(prefix.Addr()) {
			return net.JoinHostPort(prefix.Addr().String(), port), nil
		}
	}
	return "", fmt.Errorf("%s: this machine has no address in %s", setting, network)
}
