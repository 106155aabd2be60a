package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/engine"
)

// Clients finds a client, or client.ErrNotFound.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, error)
}

// Tokens issues, shows and revokes tokens; *engine.Engine does.
type Tokens interface {
	Supports(oauth.GrantType) bool
	GrantTypes() []oauth.GrantType
	Issue(*http.Request, client.Client) (map[string]any, error)
	Inspect(ctx context.Context, token string) (engine.Inspection, error)
	InspectClaims(context.Context, *token.Claims) (engine.Inspection, error)
	Revoke(ctx context.Context, c client.Client, token string) error
}

// Config says what the endpoints need; all fields but DefaultClient and
// AllowedOrigins are required.
type Config struct {
	// IssuerURL is the server's identifier: what challenges name and what the metadata
	// is about.
	IssuerURL string
	// DefaultClient is the id of the client that a request means which names none;
	// empty means that there is none.
	DefaultClient string
	// AllowedOrigins are those of pages whose scripts may use the endpoints that apps
	// use.
	AllowedOrigins []string

	Clients  Clients
	Tokens   Tokens
	Verifier *token.Verifier
	Now      func() time.Time
	Log      *slog.Logger
	// Registry gets the counters of the endpoints.
	Registry prometheus.Registerer
}

// New returns the handler of the public listener.
func New(cfg Config) http.Handler {
	e := newEdge(cfg)
	origins := cfg.AllowedOrigins
	routes := []struct {
		path    string
		method  string
		origins []string // of scripts that may call it
		handler http.Handler
	}{
		{"/token", http.MethodPost, origins, e.endpoint("token", e.token)},
		{"/revoke", http.MethodPost, origins, e.endpoint("revoke", e.revoke)},
		{"/introspect", http.MethodPost, nil, e.endpoint("introspect", e.introspect)}, // for servers, not for pages
		{"/userinfo", http.MethodGet, origins, http.HandlerFunc(e.userinfo)},
		{"/.well-known/oauth-authorization-server", http.MethodGet, []string{"*"}, e.endpoint("metadata", e.metadata)},
	}

	router := mux.NewRouter().SkipClean(true) // mux would redirect POST //token with 301
	for _, route := range routes {
		allowed := only(route.method, route.handler)
		router.Path(route.path).Handler(httpserver.CORS(route.origins, route.method)(allowed))
	}
	router.Use(nameRoute)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusNotFound, "Not Found")
	})
	return router
}

// nameRoute tells the metrics which route it is.
func nameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if template, err := mux.CurrentRoute(r).GetPathTemplate(); err == nil {
			httpserver.SetRoute(w, template)
		}
		next.ServeHTTP(w, r)
	})
}

// only answers every other method with 405 and the Allow that RFC 9110 §15.5.6
// wants, which mux leaves out.
func only(method string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			problem.Write(w, http.StatusMethodNotAllowed, "Method Not Allowed")
			return
		}
		next.ServeHTTP(w, r)
	})
}
