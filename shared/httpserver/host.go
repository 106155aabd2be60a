package httpserver

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkHost passes requests to next whose Host is an IP address, a loopback name or one of
// names. Others get 421. A web page can make its own name resolve to an address of this
// machine (DNS rebinding), and its scripts may read what that serves, but they cannot change
// the Host header.
func checkHost(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowedHost(r.Host, names) {
			writeText(w, http.StatusMisdirectedRequest,
				"This address serves the names in --admin-hosts (HALLPASS_ADMIN_HOSTS), "+
					"loopback names and IP addresses only.\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedHost reports whether checkHost accepts the value of a Host header. Only HTTP/1.0
// clients, which are no browsers, may leave it out.
func allowedHost(host string, names []string) bool {
	if host == "" {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = normalHost(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(names, host)
}

// normalHost returns a host name in lower case without the dot of the root.
func normalHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// adminHosts returns the names of the admin listener: those of the setting, and the one in
// its address.
func (s *Settings) adminHosts() []string {
	var names []string
	for _, name := range s.AdminHosts {
		names = append(names, normalHost(name))
	}
	if host, _, err := net.SplitHostPort(s.AdminListen); err == nil && host != "" {
		names = append(names, normalHost(host))
	}
	return names
}

// isHostName reports whether name can be the host in a Host header.
func isHostName(name string) bool {
	name = normalHost(name)
	return name != "" && !strings.HasPrefix(name, ".") && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
