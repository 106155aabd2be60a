package outbound_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

var refusedURLs = []string{
	"", "x", "https://", "https:///path", "https:example.com", "//example.com/", "/path",
	"http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)",
	"https://user@example.com/", "https://user:password@example.com/", "https://@example.com/",
	"https://example.com/#fragment", "https://example.com/#",
	"https://example.com:0/", "https://example.com:65536/", "https://example.com:/", "https://example.com:x/",
	"https://example.com:0443/",
	"https://localhost/", "https://metadata/", "https://example/", "https://example.com./", "https://.example.com/",
	"https://exa mple.com/", "https://example.com/a b", "https://ex\u00e4mple.com/", "https://example.com/\n",
	"https://example.com\\@127.0.0.1/", "https://-a.example.com/", "https://a..example.com/", "https://%31.example.com/",
	"https://127.0.0.1/", "https://127.1/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://2130706433/",
	"https://a.0x7f000001/", "https://1.2.3.4.5/", "https://a.1/", "https://127.0.0.1./",
	"https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data",
	"https://100.64.0.1/", "https://0.0.0.0/", "https://0.1.2.3/", "https://224.0.0.1/", "https://255.255.255.255/",
	"https://192.0.2.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://198.18.0.1/", "https://240.0.0.1/",
	"https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/", "https://[::127.0.0.1]/",
	"https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[2001:0:1::1]/", "https://[2001:db8::1]/",
	"https://[fc00::1]/", "https://[fd00::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[ff02::1]/",
	"https://[2606:2800::1%25eth0]/", "https://[100::1]/", "https://[3fff::1]/", "https://[4000::1]/", "https://[::1/",
	"https://example.com/" + strings.Repeat("x", 2048),
}

var acceptedURLs = []string{
	"https://example.com", "https://example.com/", "https://EXAMPLE.com/a/b?c=d&e=%20", "https://a-b.c_d.example.co.uk:8443/x",
	"https://xn--exmple-cua.com/", "https://8.8.8.8/", "https://8.8.8.8:8443/", "https://[2606:2800:220:1::1]/",
	"https://[2606:2800:220:1::1]:8443/x", "https://1.example.com/", "https://example.com/@user", "https://example.com?x",
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, text := range refusedURLs {
		if _, err := outbound.CheckURL(text, netip.AddrPort{}); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%q: got error %v, want ErrRefused", text, err)
		}
	}
	for _, text := range acceptedURLs {
		if u, err := outbound.CheckURL(text, netip.AddrPort{}); err != nil || u.String() != text {
			t.Errorf("%q: got %v, %v", text, u, err)
		}
	}
}

// The exception is one literal address and port, and nothing that looks like it.
func TestException(t *testing.T) {
	t.Parallel()
	exception, err := outbound.ParseException("127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"http://127.0.0.1:8080/x", "https://127.0.0.1:8080/x"} {
		if _, err := outbound.CheckURL(text, exception); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"http://127.0.0.1:8081/", "http://127.0.0.1/", "http://localhost:8080/", "http://127.0.0.2:8080/",
		"http://127.0.0.1:08080/", "http://[::ffff:127.0.0.1]:8080/", "http://user@127.0.0.1:8080/",
		"ftp://127.0.0.1:8080/", "http://127.1:8080/", "http://127.0.0.1:8080/#f", "http://127.0.0.1.:8080/",
	} {
		if _, err := outbound.CheckURL(text, exception); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: got error %v, want ErrRefused", text, err)
		}
	}
	for _, text := range []string{
		"localhost:8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "10.0.0.1:80", "0.0.0.0:80",
		"http://127.0.0.1:8080", "[::ffff:127.0.0.1]:80", "[::1%lo]:80", "8.8.8.8:443", "x",
	} {
		if _, err := outbound.ParseException(text); err == nil {
			t.Errorf("ParseException(%q) accepts it", text)
		}
	}
	if none, err := outbound.ParseException(""); err != nil || none.IsValid() {
		t.Errorf("no exception: %v, %v", none, err)
	}
	if _, err := outbound.ParseException("[::1]:8080"); err != nil {
		t.Error(err)
	}
}

// A URL that is accepted means the same to net/http, and names no address that is not public.
func FuzzCheckURL(f *testing.F) {
	for _, text := range append(refusedURLs, acceptedURLs...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := outbound.CheckURL(text, netip.AddrPort{})
		if err != nil {
			if !errors.Is(err, outbound.ErrRefused) {
				t.Errorf("%q: error %v", text, err)
			}
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
		if err != nil || r.URL.Host != u.Host || r.Host != u.Host {
			t.Fatalf("%q: net/http reads %v, %v", text, r, err)
		}
		if u.Scheme != "https" || u.User != nil || u.Fragment != "" || strings.ContainsAny(u.Host, "%@\\ /") {
			t.Errorf("%q is accepted", text)
		}
		host := u.Hostname()
		if ip, err := netip.ParseAddr(host); err == nil {
			if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is4In6() {
				t.Errorf("%q is accepted with the address %v", text, ip)
			}
			return
		}
		last := host[strings.LastIndexByte(host, '.')+1:]
		if last == host || last == "" || strings.Trim(last, "0123456789") == "" {
			t.Errorf("%q is accepted with the host %q", text, host)
		}
	})
}

// Each special-purpose block is refused from its first to its last address, and its neighbours
// are not unless they are special too.
func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0",
		"127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255",
		"192.0.2.0", "192.0.2.255", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
		"192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.255", "203.0.113.0", "224.0.0.0", "239.255.255.255",
		"240.0.0.0", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1",
		"100::", "100:0:0:1::", "1fff:ffff::", "2001::", "2001:1ff:ffff::", "2001:db8::", "2001:db8:ffff::1", "2002::1",
		"2620:4f:8000::1", "3fff::", "3fff:fff::1", "4000::", "5f00::1", "fc00::", "fdff::1", "fe80::1", "fec0::1",
		"ff00::", "ffff::1",
	} {
		if err := outbound.CheckAddress(netip.MustParseAddr(text)); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: got error %v, want ErrRefused", text, err)
		}
	}
	for _, text := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255",
		"192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"2001:200::1", "2003::1", "2606:4700::1111", "2a00:1450::1", "3ffe:ffff::1",
	} {
		if err := outbound.CheckAddress(netip.MustParseAddr(text)); err != nil {
			t.Error(err)
		}
	}
	if outbound.CheckAddress(netip.Addr{}) == nil {
		t.Error("the zero address is accepted")
	}
}
