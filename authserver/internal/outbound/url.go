package outbound

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// maxURL bounds a URL, in bytes.
const maxURL = 2048

// validHost matches names of the DNS with at least one dot.
var validHost = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+` +
	`[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// numericLabel matches a last label that some resolvers take for a part of an IPv4 address, as in
// 127.1 and 0x7f.0.0.1. No top-level domain has such a name.
var numericLabel = regexp.MustCompile(`^([0-9]+|0[xX][0-9A-Fa-f]*)$`)

// ParseException parses the setting for one address that tests and examples may fetch from,
// also without TLS: HOST:PORT, where HOST is a literal loopback address. An empty text is no
// exception.
func ParseException(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(text)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%q must be an address and a port, such as 127.0.0.1:8080", text)
	case !a.Addr().IsLoopback() || a.Addr().Is4In6() || a.Addr().Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("%s is not a loopback address: only 127.0.0.0/8 and [::1] are accepted", a.Addr())
	case a.Port() == 0:
		return netip.AddrPort{}, fmt.Errorf("%q has the port 0", text)
	}
	return a, nil
}

// checkURL parses a URL that a Guard with this exception may send a request to, or returns an
// error that wraps ErrRefused. It does not resolve the name.
func checkURL(text string, exception netip.AddrPort) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("%w: the URL is longer than %d bytes", ErrRefused, maxURL)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return nil, fmt.Errorf("%w: the URL has a character that must be escaped", ErrRefused)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL is malformed", ErrRefused)
	}
	switch {
	case u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("%w: the URL has no host", ErrRefused)
	case u.User != nil:
		return nil, fmt.Errorf("%w: the URL has a user name or password", ErrRefused)
	case strings.Contains(text, "#"):
		return nil, fmt.Errorf("%w: the URL has a fragment", ErrRefused)
	}
	if exception.IsValid() && u.Host == exception.String() && (u.Scheme == "http" || u.Scheme == "https") {
		return u, nil
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("%w: the URL must begin with https://", ErrRefused)
	}
	if err := checkHost(u); err != nil {
		return nil, err
	}
	return u, nil
}

// checkHost checks the host and the port of a URL.
func checkHost(u *url.URL) error {
	if strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%w: the URL has a colon without a port", ErrRefused)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return fmt.Errorf("%w: the port %s does not exist", ErrRefused, port)
		}
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		return checkAddress(ip)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if len(host) > 253 || !validHost.MatchString(host) || numericLabel.MatchString(last) {
		return fmt.Errorf("%w: %q is not the full name of a host", ErrRefused, host)
	}
	return nil
}

// CheckName returns an error that wraps ErrRefused unless the text is the full name of a host in the DNS.
func CheckName(name string) error { return checkHost(&url.URL{Host: name}) }
