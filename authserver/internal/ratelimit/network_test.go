package ratelimit_test

import (
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/ratelimit"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ address, network, site, neighborhood string }{
		{"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"},
		{"::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.0/24"},
		{"2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8:1::/48"},
		{"2001:db8:1:ff02::4", "2001:db8:1:ff02::/64", "2001:db8:1::/48", "2001:db8:1::/48"},
		{"2001:db8:2::4", "2001:db8:2::/64", "2001:db8:2::/48", "2001:db8:2::/48"},
		{"fe80::1%eth0", "fe80::/64", "fe80::/48", "fe80::/48"},
		{"no address", "no address", "no address", "no address"},
	} {
		if got := ratelimit.Network(tt.address); got != tt.network {
			t.Errorf("Network(%q) is %q, want %q", tt.address, got, tt.network)
		}
		if got := ratelimit.SiteNetwork(tt.address); got != tt.site {
			t.Errorf("SiteNetwork(%q) is %q, want %q", tt.address, got, tt.site)
		}
		if got := ratelimit.Neighborhood(tt.address); got != tt.neighborhood {
			t.Errorf("Neighborhood(%q) is %q, want %q", tt.address, got, tt.neighborhood)
		}
	}
}
