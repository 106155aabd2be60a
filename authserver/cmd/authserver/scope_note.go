package main

import (
	"fmt"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// scopeNote says at which of the APIs, other than the default one, a client can use the scopes that it was
// given; empty if at none. A token is for one API, by default the default one.
func scopeNote(s *store.Store, apis []resource.API, given oauth.Scope) string {
	var note strings.Builder
	for _, a := range apis {
		if usable := given.Common(a.Scope); len(usable) > 0 && !s.IsDefaultAPI(a.Audience) {
			fmt.Fprintf(&note, "note: for %s at the API %s, the client must request tokens with resource=%s: "+
				"a token for another API is refused there\n", usable, a.Audience, a.Audience)
		}
	}
	return note.String()
}
