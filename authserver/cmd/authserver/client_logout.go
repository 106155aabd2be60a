package main

import (
	"slices"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
)

// clientLogout are the flags about logging out.
type clientLogout struct {
	PostLogoutRedirectURI []string `placeholder:"URI" sep:"none" help:"Where the browser may go after a logout that the client starts. It must match exactly. Repeat for more. 'client set' replaces all current ones; a single empty one removes all."`
	BackchannelLogoutURI  *string  `placeholder:"URL" help:"https URL where the server tells the client that a session of one of its users has ended. An empty one ends that."`
}

// given reports whether one of the flags is given.
func (l clientLogout) given() bool {
	return l.PostLogoutRedirectURI != nil || l.BackchannelLogoutURI != nil
}

// change returns the client with what is given.
func (l clientLogout) change(c client.Client) client.Client {
	if l.PostLogoutRedirectURI != nil {
		c.PostLogoutRedirectURIs = l.PostLogoutRedirectURI
	}
	if slices.Equal(l.PostLogoutRedirectURI, []string{""}) {
		c.PostLogoutRedirectURIs = nil
	}
	if l.BackchannelLogoutURI != nil {
		c.BackchannelLogoutURI = *l.BackchannelLogoutURI
	}
	return c
}
