package httpserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The defaults of the timeouts, as in the tags of Settings.
const (
	defaultReadHeaderTimeout = 5 * time.Second
	defaultReadTimeout       = 15 * time.Second
	defaultWriteTimeout      = time.Minute
	defaultIdleTimeout       = 2 * time.Minute
)

// Settings are the settings of every server. kong reads the tags. The default addresses are
// the kong variables listen and admin_listen, which each program sets.
//
// The timeouts are those of http.Server. A timeout of zero means its default: no server
// is without one.
type Settings struct {
	Listen            string        `group:"Server" env:"HALLPASS_LISTEN" default:"${listen}" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	AdminListen       string        `group:"Server" env:"HALLPASS_ADMIN_LISTEN" default:"${admin_listen}" placeholder:"HOST:PORT" help:"Address of /metrics, /healthz and /readyz; never publish it (${default}). HOST may be a network like 10.0.1.0/24: then it is this machine's address in it."`
	AdminHosts        []string      `group:"Server" env:"HALLPASS_ADMIN_HOSTS" placeholder:"NAME" help:"Names by which programs call the admin address, separated by commas. Loopback names, IP addresses and the name in --admin-listen need not be listed. None by default."`
	Pprof             bool          `group:"Server" env:"HALLPASS_PPROF" help:"Serve Go profiles at /debug/pprof/ of the admin address."`
	AllowedOrigins    []string      `group:"Server" env:"HALLPASS_ALLOWED_ORIGINS" placeholder:"ORIGIN" help:"Origins of web pages whose scripts may call this server (CORS), separated by commas; * for all. None by default."`
	TrustedProxies    []string      `group:"Server" env:"HALLPASS_TRUSTED_PROXIES" placeholder:"NETWORK" help:"Addresses and networks of reverse proxies whose X-Forwarded-For is trusted, separated by commas. None by default."`
	MaxConnections    int           `group:"Server" env:"HALLPASS_MAX_CONNECTIONS" placeholder:"N" help:"Connections that may be open at once; then clients that have several lose some, and further ones get 503. By default as many as half of the limits of memory and files allow, at most 10000."`
	ReadHeaderTimeout time.Duration `group:"Server" env:"HALLPASS_READ_HEADER_TIMEOUT" default:"5s" help:"Time that a client has to send the header of a request (${default})."`
	ReadTimeout       time.Duration `group:"Server" env:"HALLPASS_READ_TIMEOUT" default:"15s" help:"Time that a client has to send a whole request (${default})."`
	WriteTimeout      time.Duration `group:"Server" env:"HALLPASS_WRITE_TIMEOUT" default:"1m" help:"Time from the end of a request's header to the end of its response (${default})."`
	IdleTimeout       time.Duration `group:"Server" env:"HALLPASS_IDLE_TIMEOUT" default:"2m" help:"Time after which an idle connection is closed (${default})."`
	DrainDelay        time.Duration `group:"Server" env:"HALLPASS_DRAIN_DELAY" default:"2s" help:"After SIGTERM, keep serving for this long while /readyz fails, so that load balancers notice (${default})."`
	StopTimeout       time.Duration `group:"Server" env:"HALLPASS_STOP_TIMEOUT" default:"30s" help:"When stopping, wait at most this long for requests in flight (${default})."`
	LogFormat         string        `group:"Logs" env:"HALLPASS_LOG_FORMAT" enum:"text,json" default:"text" help:"Format of the log on standard error: text or json (${default})."`
	LogLevel          string        `group:"Logs" env:"HALLPASS_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"Lowest level to log: debug, info, warn or error (${default})."`
}

// Validate checks what kong does not. The error names the setting.
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
		return fmt.Errorf("--listen (HALLPASS_LISTEN) and --admin-listen (HALLPASS_ADMIN_LISTEN) must be two addresses, "+
			"not %s and %s: set another port for one of them", s.Listen, s.AdminListen)
	}
	for _, origin := range s.AllowedOrigins {
		if origin != "*" && !isOrigin(origin) {
			return fmt.Errorf("--allowed-origins (HALLPASS_ALLOWED_ORIGINS) must hold origins as browsers write them, "+
				"like https://app.example.com, in lower case, without a path, the default port or a *, not %q", origin)
		}
	}
	if _, err := parseProxies(s.TrustedProxies); err != nil {
		return err
	}
	for _, name := range s.AdminHosts {
		if !isHostName(name) {
			return fmt.Errorf("--admin-hosts (HALLPASS_ADMIN_HOSTS) must hold names of hosts without scheme and port, "+
				"like authserver, not %q", name)
		}
	}
	if s.MaxConnections < 0 {
		return errors.New("--max-connections (HALLPASS_MAX_CONNECTIONS) must not be negative")
	}
	return s.validateDurations()
}

func (s *Settings) validateDurations() error {
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"--read-header-timeout (HALLPASS_READ_HEADER_TIMEOUT)", s.ReadHeaderTimeout},
		{"--read-timeout (HALLPASS_READ_TIMEOUT)", s.ReadTimeout},
		{"--write-timeout (HALLPASS_WRITE_TIMEOUT)", s.WriteTimeout},
		{"--idle-timeout (HALLPASS_IDLE_TIMEOUT)", s.IdleTimeout},
		{"--drain-delay (HALLPASS_DRAIN_DELAY)", s.DrainDelay},
		{"--stop-timeout (HALLPASS_STOP_TIMEOUT)", s.StopTimeout},
	} {
		if d.value < 0 {
			return fmt.Errorf("%s must not be negative", d.setting)
		}
	}
	return nil
}

// isOrigin reports whether s is an http or https origin as browsers serialize it (RFC 6454
// section 6.2). Any other text would never match.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host {
		return false
	}
	if s != strings.ToLower(s) || strings.ContainsAny(s, "*,") || strings.HasSuffix(u.Host, ":") {
		return false
	}
	defaultPort := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return defaultPort != "" && u.Port() != defaultPort
}

// clash reports whether two listeners on these addresses would conflict.
func clash(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	if portA != portB || portA == "0" { // the system assigns different ports
		return false
	}
	return hostA == hostB || wildcard(hostA) || wildcard(hostB)
}

// wildcard reports whether a listener on host accepts on all interfaces.
func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
