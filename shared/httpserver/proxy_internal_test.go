package httpserver

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
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
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:5", []string{"203.0.113.9"}, "203.0.113.9"},
	}
	for _, tt := range tests {
		if got := clientAddress(tt.peer, tt.headers, proxies); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
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
