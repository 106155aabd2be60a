package client

import (
	"fmt"
	"net/url"
	"slices"
)

// maxShown is the maximum length of a part of a URI that ExplainRedirect shows, in bytes.
const maxShown = 100

// ExplainRedirect returns why AllowsRedirect refuses a redirect URI: the nearest registered one, and the first
// part in which they differ. It returns an empty string if the URI is allowed.
func (c Client) ExplainRedirect(uri string) string {
	switch {
	case c.AllowsRedirect(uri):
		return ""
	case len(c.RedirectURIs) == 0:
		return "no redirect URI is registered for it"
	}
	nearest := slices.MaxFunc(c.RedirectURIs, func(a, b string) int { return inCommon(a, uri) - inCommon(b, uri) })
	return fmt.Sprintf("the nearest registered redirect URI is %s, and %s", nearest, difference(nearest, uri))
}

// inCommon returns how many bytes a and b have in common at their beginnings and, after those, at their ends.
func inCommon(a, b string) int {
	shorter, n := min(len(a), len(b)), 0
	for n < shorter && a[n] == b[n] {
		n++
	}
	for i := 1; n < shorter && a[len(a)-i] == b[len(b)-i]; i++ {
		n++
	}
	return n
}

// difference returns the first part in which a requested URI differs from a registered one.
func difference(registered, requested string) string {
	r, err := url.Parse(registered)
	if err != nil {
		return "it is not a URI"
	}
	u, err := url.Parse(requested)
	if err != nil {
		return "that of the request is not a URI"
	}
	anyPort := r.Scheme == "http" && isLoopback(r.Hostname())
	for _, part := range []struct{ name, registered, requested string }{
		{"scheme", r.Scheme, u.Scheme},
		{"host", r.Hostname(), u.Hostname()},
		{"port", r.Port(), u.Port()},
		{"path", r.Opaque + r.EscapedPath(), u.Opaque + u.EscapedPath()},
		{"query", r.RawQuery, u.RawQuery},
		{"fragment", r.EscapedFragment(), u.EscapedFragment()},
	} {
		if part.registered != part.requested && (part.name != "port" || !anyPort) {
			return fmt.Sprintf("its %s is %s where that of the request is %s",
				part.name, shownPart(part.registered), shownPart(part.requested))
		}
	}
	return "that of the request is written differently"
}

// shownPart returns a part of a URI in quotes, shortened if it is long.
func shownPart(text string) string {
	switch {
	case text == "":
		return "absent"
	case len(text) > maxShown:
		return fmt.Sprintf("%q, and more", text[:maxShown])
	}
	return fmt.Sprintf("%q", text)
}
