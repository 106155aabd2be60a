package client

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxRedirectURI bounds a redirect URI, in bytes.
const maxRedirectURI = 2048

// checkRedirectURI refuses a redirect URI that codes must not be sent to: https, http
// to this very machine (RFC 8252 §7.3), and the private schemes of apps, which name a
// domain backwards (§7.1), are the ones that may be registered. The error is ErrBad.
func checkRedirectURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || len(uri) > maxRedirectURI || strings.ContainsFunc(uri, notOfURI) || u.String() != uri:
		return fmt.Errorf("%w: the redirect URI %q is not an absolute URI in its plain form", ErrBad, uri)
	case u.Fragment != "" || strings.Contains(uri, "#") || u.User != nil:
		return fmt.Errorf("%w: the redirect URI %q must have no fragment and no user (RFC 6749 section 3.1.2)", ErrBad, uri)
	case !carriesAnswers(u):
		return fmt.Errorf("%w: the query of the redirect URI %q must be of the form name=value&name=value, without a name that the answer has: code, state, iss or error", ErrBad, uri)
	case strings.Contains(u.Host, "*"):
		return fmt.Errorf("%w: the redirect URI %q has a wildcard: they are compared letter by letter, so register each (RFC 9700 section 2.1)", ErrBad, uri)
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%w: the redirect URI %q must be https; http is for 127.0.0.1, [::1] and localhost only", ErrBad, uri)
	case strings.Contains(u.Scheme, ".") && u.Host == "":
		return nil
	}
	return fmt.Errorf("%w: the redirect URI %q must be https, http to 127.0.0.1, or of an app's private scheme like com.example.app:/callback", ErrBad, uri)
}

// carriesAnswers reports whether the parameters of an answer can be added to the query of a
// URI, which then still has all that it had (RFC 6749 §3.1.2).
func carriesAnswers(u *url.URL) bool {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false
	}
	for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
		if query.Has(name) {
			return false
		}
	}
	return true
}

// notOfURI reports whether a URI cannot have the character (RFC 3986 §2). Other spaces
// than the plain one are among them: they would end a URI in a list.
func notOfURI(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}

// AllowsRedirect reports whether the client may be sent back to the URI: to one that
// is registered, letter by letter (RFC 9700 §2.1). The port of a loopback address may
// be any, because an app cannot choose the port that the system gives it (RFC 8252
// §7.3).
func (c Client) AllowsRedirect(uri string) bool {
	for _, registered := range c.RedirectURIs {
		if uri == registered || sameButPort(registered, uri) {
			return true
		}
	}
	return false
}

// sameButPort reports whether both are http URIs of the same loopback address, alike
// but for the port.
func sameButPort(registered, uri string) bool {
	r, err := url.Parse(registered)
	if err != nil || r.Scheme != "http" {
		return false
	}
	address, err := netip.ParseAddr(r.Hostname())
	if err != nil || !address.IsLoopback() { // localhost may be resolved elsewhere
		return false
	}
	u, err := url.Parse(uri)
	if err != nil || u.String() != uri {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || u.Port() != strconv.FormatUint(port, 10) {
		return false
	}
	r.Host = net.JoinHostPort(r.Hostname(), u.Port())
	return r.String() == uri
}
