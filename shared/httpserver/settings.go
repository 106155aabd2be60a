package httpserver

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Settings are those that every server has. The tags are read by kong; the
// defaults of the two addresses are kong variables, because each program has its
// own.
type Settings struct {
	Listen         string        `group:"Server" env:"HALLPASS_LISTEN" default:"${listen}" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	AdminListen    string        `group:"Server" env:"HALLPASS_ADMIN_LISTEN" default:"${admin_listen}" placeholder:"HOST:PORT" help:"Address of /metrics, /healthz, /readyz and pprof; never publish it (${default})."`
	AllowedOrigins []string      `group:"Server" env:"HALLPASS_ALLOWED_ORIGINS" placeholder:"ORIGIN" help:"Origins of web pages whose scripts may call this server (CORS), separated by commas; * for all. None by default."`
	TrustedProxies []string      `group:"Server" env:"HALLPASS_TRUSTED_PROXIES" placeholder:"NETWORK" help:"Addresses and networks of the proxies in front, separated by commas: their X-Forwarded-For is believed. None by default."`
	DrainDelay     time.Duration `group:"Server" env:"HALLPASS_DRAIN_DELAY" default:"2s" help:"After SIGTERM, go on serving for this long while /readyz already says no (${default})."`
	StopTimeout    time.Duration `group:"Server" env:"HALLPASS_STOP_TIMEOUT" default:"30s" help:"Let requests in flight finish for at most this long when stopping (${default})."`
	LogFormat      string        `group:"Logs" env:"HALLPASS_LOG_FORMAT" enum:"text,json" default:"text" help:"Format of the log on standard error: text or json (${default})."`
	LogLevel       string        `group:"Logs" env:"HALLPASS_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: debug, info, warn or error (${default})."`
}

// Validate checks what kong cannot; the error names the setting.
func (s *Settings) Validate() error {
	for _, a := range []struct{ setting, value string }{
		{"--listen (HALLPASS_LISTEN)", s.Listen},
		{"--admin-listen (HALLPASS_ADMIN_LISTEN)", s.AdminListen},
	} {
		_, port, err := net.SplitHostPort(a.value)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%s must be HOST:PORT, not %q", a.setting, a.value)
		}
	}
	if clash(s.Listen, s.AdminListen) {
		return fmt.Errorf("--listen (HALLPASS_LISTEN) and --admin-listen (HALLPASS_ADMIN_LISTEN) must be two addresses, not %s and %s: set another port for one of them", s.Listen, s.AdminListen)
	}
	for _, origin := range s.AllowedOrigins {
		if origin == "*" {
			continue
		}
		if !isOrigin(origin) {
			return fmt.Errorf("--allowed-origins (HALLPASS_ALLOWED_ORIGINS) must hold origins as browsers write them, like https://app.example.com, in small letters, without a path, the usual port or a *, not %q", origin)
		}
	}
	if _, err := parseProxies(s.TrustedProxies); err != nil {
		return err
	}
	if s.DrainDelay < 0 || s.StopTimeout < 0 {
		return fmt.Errorf("--drain-delay (HALLPASS_DRAIN_DELAY) and --stop-timeout (HALLPASS_STOP_TIMEOUT) must not be negative")
	}
	return nil
}

// isOrigin reports whether a browser could send this as the origin of a page (RFC 6454
// §6.2): another text would never match, and part of one must not stand for many.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host || s != strings.ToLower(s) || strings.ContainsAny(s, "*,") {
		return false
	}
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return usual != "" && u.Port() != usual && !strings.HasSuffix(u.Host, ":")
}

// clash reports whether two listeners cannot have these addresses at once.
func clash(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	if portA != portB || portA == "0" { // the system gives each a port of its own
		return false
	}
	return hostA == hostB || everyAddress(hostA) || everyAddress(hostB)
}

// everyAddress reports whether a listener on this host takes all addresses of the machine.
func everyAddress(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
