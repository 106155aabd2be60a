package client

import (
	"fmt"
	"slices"
)

// checkLogout checks the URIs of logouts.
func (c Client) checkLogout() error {
	for _, uri := range c.PostLogoutRedirectURIs {
		if fault := redirectURIFault(uri); fault != "" {
			return fmt.Errorf("%w: the post-logout redirect URI %q %s", ErrBad, uri, fault)
		}
	}
	if c.BackchannelLogoutURI == "" {
		return nil
	}
	if len(c.BackchannelLogoutURI) > maxRedirectURI {
		return fmt.Errorf("%w: the back-channel logout URI is longer than %d bytes", ErrBad, maxRedirectURI)
	}
	return checkFetched("back-channel logout URI", c.BackchannelLogoutURI)
}

// AllowsLogoutRedirect reports whether the browser may be sent to the URI after a logout: it equals a
// registered one. Unlike in AllowsRedirect, the port of a loopback address may not differ (OpenID Connect
// RP-Initiated Logout 1.0 section 3).
func (c Client) AllowsLogoutRedirect(uri string) bool {
	return slices.Contains(c.PostLogoutRedirectURIs, uri)
}
