package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// scopeNote says at which APIs other than the default one a client can use the scopes that it was given;
// empty if at none. A token is for one API, and by default for the default one.
func scopeNote(ctx context.Context, s *store.Store, given oauth.Scope) (string, error) {
	apis, err := s.APIs(ctx)
	if err != nil {
		return "", err
	}
	var note strings.Builder
	for _, a := range apis {
		if usable := given.Common(a.Scope); len(usable) > 0 && !s.IsDefaultAPI(a.Audience) {
			fmt.Fprintf(&note, "note: for %s at the API %s, the client must request tokens with resource=%s: "+
				"a token for another API is refused there\n", usable, a.Audience, a.Audience)
		}
	}
	return note.String(), nil
}
