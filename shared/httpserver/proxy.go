package httpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forwardedFor is the header in which proxies list the addresses a request came by.
const forwardedFor = "X-Forwarded-For"

// parseProxies reads addresses and networks: 10.0.0.5, 10.0.0.0/8, fd00::/8.
func parseProxies(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, errAddress := netip.ParseAddr(text)
			if errAddress != nil {
				return nil, fmt.Errorf("--trusted-proxies (HALLPASS_TRUSTED_PROXIES) must hold addresses or networks like 10.0.0.0/8, not %q", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// forwarded returns middleware that puts the address of the real client into
// RemoteAddr when the request comes by proxies that are trusted (RFC 9700 §4.13).
// Without trusted proxies it does nothing.
func forwarded(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := clientAddress(r.RemoteAddr, r.Header[forwardedFor], proxies)
		r.RemoteAddr = strings.Clone(from) // outlives the request in the log, and is to keep no header
		next.ServeHTTP(w, r)
	})
}

// clientAddress follows the chain of addresses from the peer backwards, for as long
// as whoever wrote the next one is trusted. It returns the first address that is not
// a trusted proxy's: what stands before it may be made up.
func clientAddress(peer string, headers []string, proxies []netip.Prefix) string {
	written := strings.Split(strings.Join(headers, ","), ",")
	last := peer
	for trusted(last, proxies) && len(written) > 0 {
		next := strings.TrimSpace(written[len(written)-1])
		written = written[:len(written)-1]
		if _, ok := parseAddress(next); !ok {
			break
		}
		last = next
	}
	return last
}

func trusted(address string, proxies []netip.Prefix) bool {
	a, ok := parseAddress(address)
	if !ok {
		return false
	}
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port.
func parseAddress(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap().WithZone(""), err == nil
}
