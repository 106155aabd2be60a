package dpop

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Base is the URL at which clients reach a server. A server behind a proxy cannot tell it from a request. The header
// Host must not be trusted: an attacker could send a proof for another server together with the name of that server.
type Base struct {
	origin string // scheme and host, normalized
	path   string // before the paths that the server sees; without a slash at the end
}

// ParseBase parses the URL of a server: http or https, without query and fragment. If it has a path, requests may
// arrive with this prefix or, behind a proxy that removes it, without.
func ParseBase(text string) (Base, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return Base{}, errors.New("it must be an http or https URL without query and fragment")
	}
	return Base{origin: originOf(u), path: normalizePath(strings.TrimSuffix(u.EscapedPath(), "/"))}, nil
}

// of returns the normalized URL that a client called with a request.
func (b Base) of(r *http.Request) string {
	path := cmp.Or(normalizePath(requestPath(r)), "/")
	if b.path != "" && path != b.path && !strings.HasPrefix(path, b.path+"/") {
		path = b.path + path // a proxy has removed it
	}
	return b.origin + path
}

// requestPath returns the path as the client sent it: middleware such as http.StripPrefix changes r.URL.
func requestPath(r *http.Request) string {
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		return u.EscapedPath()
	}
	return r.URL.EscapedPath()
}

// normalize returns a URL without query and fragment, normalized by RFC 3986 sections 6.2.2 and 6.2.3, and whether it
// is an http or https URL. It does not resolve dot segments: they are resolved before they reach a server.
func normalize(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil {
		return "", false
	}
	return originOf(u) + cmp.Or(normalizePath(u.EscapedPath()), "/"), true
}

// originOf returns the scheme and the host of a URL in lower case, without the default port. url.Parse already lowers
// the scheme.
func originOf(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	switch {
	case port == "" || (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80"):
		if strings.Contains(host, ":") { // IPv6
			host = "[" + host + "]"
		}
	default:
		host = net.JoinHostPort(host, port)
	}
	return u.Scheme + "://" + host
}

// normalizePath returns an escaped path with unreserved characters unescaped, and all other escapes in upper case.
func normalizePath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := path[i : i+3]
		if c, err := strconv.ParseUint(escape[1:], 16, 8); err == nil && isUnreserved(byte(c)) {
			b.WriteByte(byte(c))
		} else {
			b.WriteString(strings.ToUpper(escape))
		}
		i += 2
	}
	return b.String()
}

// isUnreserved reports whether a character means the same escaped or not (RFC 3986 section 2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

type methodKey struct{}

// WithMethod returns a context with the method that the client used. It is for servers that change the method of a
// request before its proof is checked, for example from HEAD to GET.
func WithMethod(ctx context.Context, method string) context.Context {
	return context.WithValue(ctx, methodKey{}, method)
}

// methodOf returns the method that the client used.
func methodOf(r *http.Request) string {
	if method, ok := r.Context().Value(methodKey{}).(string); ok {
		return method
	}
	return r.Method
}
