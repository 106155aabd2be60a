package resource

import (
	"net/url"
	"strings"
)

// Same reports whether two identifiers of an API are the same URI by the scheme-based
// normalization of RFC 3986 section 6.2.3: an http or https URI may leave out the slash after the
// host, and the default port. Many clients parse a URL and print it in such a form. Upper and lower
// case matter, as everywhere else in an identifier.
func Same(a, b string) bool { return a == b || normalized(a) == normalized(b) }

// defaultPorts are those of the schemes.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// normalized returns the URI in the form that Same compares, or the text itself if it is not an
// http or https URI.
func normalized(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || defaultPorts[u.Scheme] == "" || !strings.HasPrefix(uri, u.Scheme+"://") ||
		u.Host == "" || u.User != nil || strings.Contains(uri, "#") {
		return uri
	}
	if port := u.Port(); port == "" || port == defaultPorts[u.Scheme] {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}
