package database

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
)

// errPlaintext means that a URL may connect without TLS, but does not say so explicitly.
var errPlaintext = fmt.Errorf("%w: write sslmode=verify-full, or sslmode=disable for a connection without TLS", ErrURL)

// parseSecurely parses the URL of a PostgreSQL server. By default pgx, like libpq, connects without
// TLS if the server refuses TLS, and sends the password in clear if the server asks for it. Anybody
// on the network path can pose as such a server. So TLS is required for a host other than this one,
// unless the sslmode of the URL is disable, allow or prefer. A password is sent in clear only to
// this host, to a server whose certificate is verified, or if the URL allows a connection without
// TLS or has require_auth.
func parseSecurely(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil || allowsPlaintext(url) {
		return config, err
	}
	if hasRemote(config, func(c *tls.Config) bool { return c == nil }) {
		if config, err = pgx.ParseConfig(withQuery(url, "sslmode=require")); err != nil {
			return nil, err
		}
	}
	if hasRemote(config, func(c *tls.Config) bool { return c == nil }) {
		return nil, errPlaintext
	}
	if config.RequireAuth == "" && hasRemote(config, unverified) {
		config.RequireAuth = "!password"
	}
	return config, nil
}

// allowsPlaintext reports whether the sslmode that is written in the URL allows a connection
// without TLS. As in pgx, the last one counts.
func allowsPlaintext(url string) bool {
	mode := parameter(url, "sslmode")
	return mode == "disable" || mode == "allow" || mode == "prefer"
}

// parameter returns the last value of a parameter in the query of a URL, or "".
func parameter(url, name string) string {
	last := ""
	query, _ := queryOf(url)
	for parameter := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(parameter, name+"="); ok {
			last = value
		}
	}
	return last
}

// withQuery returns the URL with another parameter, which replaces the same one before it.
func withQuery(url, parameter string) string {
	if query, ok := queryOf(url); ok && query != "" {
		return url + "&" + parameter
	} else if ok {
		return url + parameter
	}
	return url + "?" + parameter
}

// queryOf returns what follows the question mark before the query of a URL, and whether there is
// one. As in libpq, a password may contain a question mark too.
func queryOf(url string) (query string, found bool) {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	_, query, found = strings.Cut(rest, "?")
	return query, found
}

// hasRemote reports whether a connection may be made to another host with such a TLS configuration.
func hasRemote(config *pgx.ConnConfig, such func(*tls.Config) bool) bool {
	if !isLocal(config.Host) && such(config.TLSConfig) {
		return true
	}
	for _, fallback := range config.Fallbacks {
		if !isLocal(fallback.Host) && such(fallback.TLSConfig) {
			return true
		}
	}
	return false
}

// unverified reports whether the server's certificate is not verified.
func unverified(c *tls.Config) bool {
	return c == nil || c.InsecureSkipVerify && c.VerifyPeerCertificate == nil && c.VerifyConnection == nil
}

// isLocal reports whether the host is this one: the path of a socket, or a loopback address or name.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// withAdvice adds advice to an error about parseSecurely's rules. pgx has no error values for them.
func withAdvice(err error) error {
	if strings.Contains(err.Error(), "refused TLS connection") {
		return errors.New(err.Error() + " (sslmode=disable in the URL connects without TLS)")
	}
	if strings.Contains(err.Error(), "requested cleartext password") || strings.Contains(err.Error(), `"!password"`) {
		return errors.New(err.Error() + " (a password is sent in clear only with sslmode=verify-full)")
	}
	return err
}
