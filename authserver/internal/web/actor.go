package web

import (
	"context"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
)

// nameActor puts the actor into the context for the audit log: a person at an address. The change itself knows which
// user it is.
func nameActor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(audit.WithActor(r.Context(), audit.Actor{
			Kind: audit.User, Address: httpserver.Host(r.RemoteAddr), RequestID: httpserver.RequestID(r.Context()),
		})))
	})
}

// asClient returns the context with a client that acts by itself, in place of a person.
func asClient(ctx context.Context, id string) context.Context {
	a := audit.ActorFrom(ctx)
	a.Kind, a.ID, a.ClientID = audit.Client, id, id
	return audit.WithActor(ctx, a)
}

// withClient returns the request with the client that the actor uses.
func withClient(r *http.Request, clientID string) *http.Request {
	return r.WithContext(audit.WithClientID(r.Context(), clientID))
}
