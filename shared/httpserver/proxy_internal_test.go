package httpserver

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// X-Forwarded-For is trusted only from the listed proxies (RFC 9700 section 4.13).
func TestClientAddress(t *testing.T) {
	proxies, err := parseProxies([]string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1234", nil, "203.0.113.9:1234"},
		{"a header of an untrusted peer", "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9:1234"},
		{"one proxy", "10.1.2.3:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a single address is trusted", "192.0.2.7:5", []string{"203.0.113.9"}, "203.0.113.9"},
		{"its neighbour is not", "192.0.2.8:5", []string{"203.0.113.9"}, "192.0.2.8:5"},
		{"two proxies", "10.1.2.3:5", []string{"203.0.113.9, 10.9.9.9"}, "203.0.113.9"},
		{"two headers", "10.1.2.3:5", []string{"203.0.113.9", "10.9.9.9"}, "203.0.113.9"},
		{"forged first entry", "10.1.2.3:5", []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9"},
		{"proxies only", "10.1.2.3:5", []string{"10.4.4.4"}, "10.4.4.4"},
		{"no header from a proxy", "10.1.2.3:5", nil, "10.1.2.3:5"},
		{"not an address", "10.1.2.3:5", []string{"<script>"}, "10.1.2.3:5"},
		{"not an address before a proxy", "10.1.2.3:5", []string{"x, 10.9.9.9"}, "10.9.9.9"},
		{"IPv6", "[fd00::1]:5", []string{"2001:db8::9"}, "2001:db8::9"},
		{"IPv6 with a port", "[fd00::1]:5", []string{"[2001:db8::9]:443"}, "2001:db8::9"},
		{"IPv6 in brackets", "[fd00::1]:5", []string{"[2001:db8::9]"}, "2001:db8::9"},
		{"IPv6 with a zone", "[fd00::1]:5", []string{"fe80::9%<script>"}, "fe80::9"},
		{"IPv6 written in full", "[fd00::1]:5", []string{"2001:DB8:0:0:0:0:0:9"}, "2001:db8::9"},
		{"a proxy with a zone", "[fd00::1%eth0]:5", []string{"2001:db8::9"}, "2001:db8::9"},
		{"IPv4 in IPv6 as an entry", "10.1.2.3:5", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"IPv4 with a port", "10.1.2.3:5", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"spaces and tabs", "10.1.2.3:5", []string{" \t203.0.113.9\t ,  10.9.9.9 "}, "203.0.113.9"},
		{"empty entries", "10.1.2.3:5", []string{"203.0.113.9,, ,", "", " , "}, "203.0.113.9"},
		{"an empty header", "10.1.2.3:5", []string{""}, "10.1.2.3:5"},
		{"100 entries", "10.1.2.3:5", []string{strings.Repeat("198.51.100.1, ", 99) + "203.0.113.9"}, "203.0.113.9"},
		{"100 headers", "10.1.2.3:5", append(slices.Repeat([]string{"198.51.100.1"}, 99), "203.0.113.9"), "203.0.113.9"},
		{"100 proxies", "10.1.2.3:5", []string{"203.0.113.9" + strings.Repeat(", 10.4.4.4", 99)}, "203.0.113.9"},
		{"unknown", "10.1.2.3:5", []string{"unknown"}, "10.1.2.3:5"},
		{"an octal number", "10.1.2.3:5", []string{"0127.0.0.1"}, "10.1.2.3:5"},
		{"a network", "10.1.2.3:5", []string{"203.0.113.0/24"}, "10.1.2.3:5"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:5", []string{"203.0.113.9"}, "203.0.113.9"},
	}
	for _, tt := range tests {
		if got := clientAddress(tt.peer, tt.headers, proxies); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The peer is the address that next sees unless it is a trusted proxy. Else next sees an
// address that a trusted proxy has appended: all entries after it are addresses of trusted
// proxies. It is always an address.
func FuzzClientAddress(f *testing.F) {
	proxies, err := parseProxies([]string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		f.Fatal(err)
	}
	for _, header := range []string{
		"203.0.113.9", "203.0.113.9, 10.1.1.1", "127.0.0.1, 203.0.113.9:80,[fd00::2]:1", "fe80::1%10.0.0.1", ",,", "x,10.0.0.1",
	} {
		f.Add([]byte{10, 1, 1, 1}, header, "203.0.113.9")
		f.Add([]byte{192, 0, 2, 1}, header, "")
	}
	f.Fuzz(func(t *testing.T, ip []byte, first, second string) {
		address, ok := netip.AddrFromSlice(ip)
		if !ok {
			return
		}
		peer := netip.AddrPortFrom(address, 4711).String()
		got := clientAddress(peer, []string{first, second}, proxies)
		if _, ok := parseAddress(got); !ok {
			t.Fatalf("%q is no address", got)
		}
		if got == peer {
			return
		}
		if !trusted(peer, proxies) {
			t.Fatalf("the untrusted peer %s appears as %s", peer, got)
		}
		entries := strings.Split(first+","+second, ",")
		for _, entry := range slices.Backward(entries) {
			entry = strings.Trim(entry, " \t")
			if a, ok := parseAddress(entry); ok && a.String() == got {
				return
			}
			if entry != "" && !trusted(entry, proxies) {
				break
			}
		}
		t.Fatalf("%s was not appended by a trusted proxy: %q %q", got, first, second)
	})
}

func TestParseProxiesNamesTheSetting(t *testing.T) {
	for _, bad := range []string{"", "caddy", "10.0.0.0/33", "10.0.0.0-10.0.0.9"} {
		if _, err := parseProxies([]string{bad}); err == nil || !strings.Contains(err.Error(), "HALLPASS_TRUSTED_PROXIES") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestForwardedWithoutProxiesLeavesTheHeaderUnread(t *testing.T) {
	var seen string
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RemoteAddr })
	h := forwarded([]netip.Prefix{}, next)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:99"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if seen != "10.0.0.1:99" {
		t.Errorf("handler saw %s", seen)
	}
}
