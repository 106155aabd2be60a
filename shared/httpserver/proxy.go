package httpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// forwardedFor is the header to which each proxy appends the address that it got the request from.
const forwardedFor = "X-Forwarded-For"

// parseProxies parses addresses and networks: 10.0.0.5, 10.0.0.0/8, fd00::/8.
func parseProxies(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, errAddress := netip.ParseAddr(text)
			if errAddress != nil {
				return nil, fmt.Errorf(
					"--trusted-proxies (HALLPASS_TRUSTED_PROXIES) must hold addresses or networks like 10.0.0.0/8, not %q",
					text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// forwarded wraps next: requests that arrive through trusted proxies get the address of
// the client as their RemoteAddr (RFC 9700 section 4.13). Without proxies it returns next.
func forwarded(proxies []netip.Prefix, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = clientAddress(r.RemoteAddr, r.Header[forwardedFor], proxies)
		next.ServeHTTP(w, r)
	})
}

// clientAddress walks X-Forwarded-For backwards from the peer, while the address that
// appended the entry is a trusted proxy. It returns the first address that is not: the
// entries before it may be forged. An entry is returned without port and zone, so that one
// client has one address. Empty entries are ignored (RFC 9110 section 5.6.1).
func clientAddress(peer string, headers []string, proxies []netip.Prefix) string {
	last, rest := peer, strings.Join(headers, ",")
	for rest != "" && trusted(last, proxies) {
		var entry string
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, entry = rest[:i], rest[i+1:]
		} else {
			rest, entry = "", rest
		}
		entry = strings.Trim(entry, " \t")
		if entry == "" {
			continue
		}
		address, ok := parseAddress(entry)
		if !ok {
			break
		}
		last = address.String()
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

// parseAddress parses an address with or without a port and returns it without zone, as
// IPv4 if it is that in IPv6.
func parseAddress(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap().WithZone(""), err == nil
}
