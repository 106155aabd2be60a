package ratelimit

import "net/netip"

// Network returns the network that limits are for: an IPv4 address, or the /64 prefix of an
// IPv6 address, all of which one host may use. It returns any other text unchanged.
func Network(address string) string { return prefix(address, 32, 64) }

// SiteNetwork returns a network as Network does, but the /48 prefix of an IPv6 address: one customer may have all
// the /64 networks in it.
func SiteNetwork(address string) string { return prefix(address, 32, 48) }

// Neighborhood returns the /24 prefix of an IPv4 address, or the /48 prefix of an IPv6 address: a guesser may have many
// of its addresses, and people who are not the guesser may have others. It returns any other text unchanged.
func Neighborhood(address string) string { return prefix(address, 24, 48) }

// prefix returns the prefix of an IPv4 or IPv6 address with so many bits, or any other text unchanged. A whole IPv4
// address has no suffix.
func prefix(address string, bits4, bits6 int) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	switch {
	case !a.Is4():
		return netip.PrefixFrom(a, bits6).Masked().String()
	case bits4 < 32:
		return netip.PrefixFrom(a, bits4).Masked().String()
	}
	return a.String()
}
