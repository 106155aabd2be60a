package client

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxRedirectURI is the maximum length of a redirect URI, in bytes.
const maxRedirectURI = 2048

// CheckRedirectURI returns an error that wraps ErrBad unless the URI may be registered as a
// redirect URI: an https URI, an http URI of a loopback address (RFC 8252 section 7.3), or
// a URI with a private scheme: see isPrivate.
func CheckRedirectURI(uri string) error {
	if fault := redirectURIFault(uri); fault != "" {
		return fmt.Errorf("%w: the redirect URI %q %s", ErrBad, uri, fault)
	}
	return nil
}

// redirectURIFault returns what is wrong with a redirect URI, or an empty string.
func redirectURIFault(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || u.String() != uri || strings.ContainsFunc(uri, notInURI):
		return "is not a normalized absolute URI"
	case len(uri) > maxRedirectURI:
		return fmt.Sprintf("is longer than %d bytes", maxRedirectURI)
	case u.Fragment != "" || strings.Contains(uri, "#") || u.User != nil:
		return "must not have a fragment or userinfo (RFC 6749 section 3.1.2)"
	case !allowsParameters(u):
		return "must have a query of name=value pairs, without the parameters that the response adds: " +
			"code, state, iss, error and error_description"
	case strings.Contains(u.Host, "*"):
		return "has a wildcard; redirect URIs must match exactly, so register each one (RFC 9700 section 2.1)"
	case u.Scheme == "https" && u.Hostname() != "",
		u.Scheme == "http" && isLoopback(u.Hostname()),
		isPrivate(u):
		return ""
	case u.Scheme == "http":
		return "must be https; http is allowed only for 127.0.0.1, [::1] and localhost"
	}
	return "must be https, http to a loopback address, or have a private scheme such as com.example.app:/callback"
}

// systemSchemes are schemes that browsers and operating systems handle themselves, or other programs than
// that of the client.
var systemSchemes = []string{
	"about", "afp", "android-app", "blob", "chrome", "chrome-extension", "content", "data", "devtools", "dns", "edge",
	"facetime", "file", "filesystem", "ftp", "ftps", "git", "go", "gopher", "http", "https", "imap", "intent", "ipp",
	"irc", "ircs", "jar", "javascript", "ldap", "ldaps", "mailto", "market", "moz-extension", "nfs", "news", "nntp",
	"pop", "rdp", "redis", "resource", "rtsp", "rsync", "search", "search-ms", "sftp", "shell", "sip", "sips", "smb",
	"sms", "ssh", "svn", "tel", "telnet", "tftp", "urn", "vbscript", "view-source", "vnc", "ws", "wss", "xmpp",
}

// isPrivate reports whether a URI has a private scheme. RFC 8252 section 7.1 asks for a reversed domain
// name, as in com.example.app:/callback. Many apps have a scheme without a dot, and a host:
// cursor://anysphere.cursor-mcp/callback.
func isPrivate(u *url.URL) bool {
	if strings.Contains(u.Scheme, ".") {
		return true
	}
	return u.Hostname() != "" && !slices.Contains(systemSchemes, u.Scheme) && !strings.HasPrefix(u.Scheme, "ms-")
}

// allowsParameters reports whether the parameters of an authorization response can be added
// to the query of the URI without changing the existing ones (RFC 6749 section 3.1.2).
func allowsParameters(u *url.URL) bool {
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

// notInURI reports whether the character must not occur in a URI (RFC 3986 section 2). That
// includes all Unicode spaces, which would end a URI in a list.
func notInURI(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }

// isLoopback reports whether the host is localhost or a loopback address.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}

// AllowsRedirect reports whether the URI exactly matches a registered redirect URI (RFC 9700
// section 2.1). The port of a loopback address or of localhost may differ, because the operating system
// chooses it for a native app (RFC 8252 section 7.3).
func (c Client) AllowsRedirect(uri string) bool {
	for _, registered := range c.RedirectURIs {
		if uri == registered || equalExceptPort(registered, uri) {
			return true
		}
	}
	return false
}

// Impersonable reports whether another program on the user's device can receive the responses
// that are sent to a redirect URI of the client, and redeem them: the client has no secret, and the
// URI is one of a native app, a loopback address or a private scheme (RFC 8252 section 8.6).
func (c Client) Impersonable(uri string) bool { return c.Public() && !strings.HasPrefix(uri, "https:") }

// AsksEachTime reports whether the user is asked for consent each time that responses go to a redirect URI
// of the client: another program can pretend to be the client, or nobody has registered the client and the
// host of the URI is not that of its client metadata document.
func (c Client) AsksEachTime(uri string) bool {
	if c.Source == SourceAdministrator {
		return c.Impersonable(uri)
	}
	u, err := url.Parse(uri)
	return err != nil || u.Scheme != "https" || c.Source != SourceDocument || u.Host != c.DocumentHost()
}

// DocumentHost returns the host of the client's metadata document, with its port if it has one. It is empty
// for a client of another source.
func (c Client) DocumentHost() string {
	if c.Source != SourceDocument {
		return ""
	}
	u, err := url.Parse(c.ID)
	if err != nil {
		return ""
	}
	return u.Host
}

// equalExceptPort reports whether both are http URIs of the same loopback host that differ at most
// in the port. RFC 8252 section 8.3 advises against localhost, but apps use it.
func equalExceptPort(registered, uri string) bool {
	r, err := url.Parse(registered)
	if err != nil || r.Scheme != "http" {
		return false
	}
	if !isLoopback(r.Hostname()) {
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

// UsesLocalhost reports whether a redirect URI of the client names localhost. A loopback address is
// better: localhost may be resolved to another machine (RFC 8252 section 8.3).
func (c Client) UsesLocalhost() bool {
	return slices.ContainsFunc(c.RedirectURIs, func(uri string) bool {
		u, err := url.Parse(uri)
		return err == nil && u.Hostname() == "localhost"
	})
}
