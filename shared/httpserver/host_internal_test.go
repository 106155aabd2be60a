package httpserver

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// The admin listener serves no name that a web page can own, but those of the setting: only loopback names and IP
// addresses besides.
func FuzzAllowedHost(f *testing.F) {
	for _, host := range []string{
		"localhost", "localhost:9001", "LOCALHOST.", "app.localhost", "localhost.evil.example", "evil.example",
		"127.0.0.1", "[::1]:80",
		"[::1", "metrics.internal", "METRICS.internal.:9001", "evil.example:metrics.internal",
		"127.0.0.1.evil.example", "0x7f.1",
		"evil.example#.localhost", "evil.example/.localhost", "a@localhost", "[localhost]", "::", "",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if host == "" || !allowedHost(host, []string{"metrics.internal"}) {
			return
		}
		u, err := url.Parse("http://" + host + "/") // what a browser would connect to
		if err != nil || u.Host != host {
			return // no browser sends it
		}
		name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		if _, err := netip.ParseAddr(name); err == nil {
			return
		}
		if name != "metrics.internal" && name != "localhost" && !strings.HasSuffix(name, ".localhost") {
			t.Errorf("%q is served: it is the host %q", host, name)
		}
	})
}
