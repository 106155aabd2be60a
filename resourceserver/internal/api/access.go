package api

import (
	"net/http"
	"slices"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/humaapi"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// accessKey is the key of an operation's access in its metadata.
const accessKey = "access"

// access says who may call a route. The zero value is an error, so that no route is open by mistake.
type access struct {
	open   bool        // no token is needed
	user   bool        // the token must be a user's
	scopes oauth.Scope // the scopes that the token must have
	group  string      // the group that the user must be in; empty for any
}

// byAnyone allows every request, without a token.
var byAnyone = access{open: true}

// byClient allows tokens that have all the scopes, including those that a client got for itself.
func byClient(scopes ...string) access { return access{scopes: scopes} }

// byUser allows only tokens that were issued for a user and have all the scopes.
func byUser(scopes ...string) access { return access{scopes: scopes, user: true} }

// groupsScope is the scope of tokens that name the groups of their user.
const groupsScope = "groups"

// byGroup is byUser for users in a group, which the token must name.
func byGroup(group string, scopes ...string) access {
	return access{scopes: append(scopes, groupsScope), user: true, group: group}
}

// declared reports whether the access is open or has scopes, and not both.
func (a access) declared() bool { return a.open != (len(a.scopes) > 0) }

// security returns the access as the OpenAPI document describes it.
func (a access) security() []map[string][]string {
	if a.open {
		return nil
	}
	return []map[string][]string{{humaapi.SecurityScheme: a.scopes}}
}

// middleware returns the middleware that enforces the access, before any input is read.
func (a access) middleware(guard *bearer.Guard) func(http.Handler) http.Handler {
	switch {
	case a.open:
		return func(next http.Handler) http.Handler { return next }
	case a.group != "":
		return func(next http.Handler) http.Handler {
			return guard.RequireUser(a.scopes...)(inGroup(a.group, next))
		}
	case a.user:
		return guard.RequireUser(a.scopes...)
	}
	return guard.Require(a.scopes...)
}

// detailGroup is the detail of the refusal of users who are not in a group.
const detailGroup = "This is only for users in the group "

// inGroup lets requests through whose user is in the group.
func inGroup(group string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.FromContext(r.Context())
		if !slices.Contains(claims.Groups, group) {
			problem.Write(w, http.StatusForbidden, detailGroup+group)
			return
		}
		next.ServeHTTP(w, r)
	})
}
