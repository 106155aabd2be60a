package api

import (
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// securityScheme is the name under which the OpenAPI document declares how to get a
// token.
const securityScheme = "oauth2"

// access says who may call a route. The zero value is a mistake that New reports,
// so that a route is never open because somebody forgot to say.
type access struct {
	open   bool        // no token is needed
	user   bool        // a user must stand behind the token
	scopes oauth.Scope // what the token must allow, all of it
}

// byAnyone lets everybody in, without a token.
var byAnyone = access{open: true}

// byClient lets in tokens that have all the scopes, also those that a client got
// for itself.
func byClient(scopes ...string) access { return access{scopes: scopes} }

// byUser lets in tokens that have all the scopes and a user behind them.
func byUser(scopes ...string) access { return access{scopes: scopes, user: true} }

// declared reports whether somebody said who may call.
func (a access) declared() bool { return a.open != (len(a.scopes) > 0) }

// security is what the OpenAPI document says of the access.
func (a access) security() []map[string][]string {
	if a.open {
		return nil
	}
	return []map[string][]string{{securityScheme: a.scopes}}
}

// guard returns the handler of a route with this access: it answers every request
// that may not pass, and serves the others. It runs before any input is looked at.
func (a access) guard(v *token.Verifier, serve serve) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.open {
			serve(w, r, nil)
			return
		}
		caller, refusal := bearer.Authenticate(v, r, a.scopes...)
		if refusal == nil && a.user && caller.Username == "" {
			refusal = bearer.InvalidToken(v) // to this route a token without a user is as bad as one of an unknown user
		}
		if refusal != nil {
			refusal.Write(w)
			return
		}
		serve(w, r, caller)
	}
}
