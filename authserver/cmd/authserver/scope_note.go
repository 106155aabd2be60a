package main

import (
	"fmt"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
)

// scopeNote says at which APIs, of those that are not the default one, a client can use the scopes that it was
// given; empty if at none. A token is for one API, by default the default one.
func scopeNote(elsewhere []resource.API, given oauth.Scope) string {
	var note strings.Builder
	for _, a := range elsewhere {
		if usable := given.Common(a.Scope); len(usable) > 0 {
			fmt.Fprintf(&note, "note: for %s at the API %s, the client must request tokens with resource=%s: "+
				"a token for another API is refused there\n", usable, a.Audience, a.Audience)
		}
	}
	return note.String()
}
