package web

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Clients finds a client, or record.ErrNotFound. Implementations of this and of the other
// interfaces of the package are safe for concurrent use.
type Clients interface {
	ClientByID(ctx context.Context, id string) (client.Client, error)
}

// Scopes knows what scopes mean; the order is theirs.
type Scopes interface {
	ScopeDescriptions(ctx context.Context) ([]resource.ScopeDescription, error)
}

// Tokens issues, shows and revokes tokens; *issuing.Engine does.
type Tokens interface {
	Supports(oauth.GrantType) bool
	GrantTypes() []oauth.GrantType
	Issue(*http.Request, client.Client) (map[string]any, error)
	Target(ctx context.Context, audience string) (resource.API, error)
	Authorize(*http.Request, client.Client, issuing.Consent) (redirectURI string, err error)
	Refuse(redirectURI, state string, reason *oauth.Error) (string, error)
	Inspect(ctx context.Context, token string) (issuing.Inspection, error)
	InspectClaims(context.Context, *token.Claims) (issuing.Inspection, error)
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

	Clients   Clients
	Passwords issuing.Passwords
	Sessions  *store.Store
	Scopes    Scopes
	Tokens    Tokens
	// StatusLists tells APIs what is revoked.
	StatusLists StatusLists
	Verifier    *token.Verifier
	Keys        keyring.Source
	Now         func() time.Time
	Log         *slog.Logger
	// Registry gets the counters of the endpoints.
	Registry prometheus.Registerer
}

// methods are the handlers of one path by method.
type methods map[string]http.Handler

// New returns the handler of the public listener.
func New(cfg Config) http.Handler {
	e := newEndpoints(cfg)
	apps := cfg.AllowedOrigins
	everybody := []string{"*"}
	var nobody []string
	const page, api = true, false
	routes := []struct {
		path    string
		page    bool     // for people: forms are taken from our own pages only
		origins []string // of pages whose scripts may call it
		methods methods
	}{
		{"/token", api, apps, methods{"POST": e.endpoint("token", e.token)}},
		{"/revoke", api, apps, methods{"POST": e.endpoint("revoke", e.revoke)}},
		{"/introspect", api, nobody, methods{"POST": e.endpoint("introspect", e.introspect)}},
		{"/userinfo", api, apps, methods{"GET": http.HandlerFunc(e.userinfo)}},
		{"/.well-known/oauth-authorization-server", api, everybody, methods{"GET": e.endpoint("metadata", e.metadata)}},
		{"/jwks.json", api, everybody, methods{"GET": e.endpoint("jwks", e.jwks)}},
		{statuslist.Path, api, nobody, methods{"GET": e.endpoint("status_lists", e.statusLists)}},
		{statuslist.Path + "/{list}", api, nobody, methods{"GET": http.HandlerFunc(e.statusList)}},
		{statuslist.Path + "/{list}/{api}", api, nobody, methods{"GET": http.HandlerFunc(e.statusList)}},

		{"/", page, nobody, methods{"GET": e.pageHandler("home", e.home)}},
		{"/authorize", page, nobody, methods{"GET": e.pageHandler("authorize", e.authorize)}},
		{"/login", page, nobody, methods{"POST": e.pageHandler("login", e.login)}},
		{"/consent", page, nobody, methods{"POST": e.pageHandler("consent", e.consent)}},
		{"/logout", page, nobody, methods{"GET": e.pageHandler("logout", e.showLogout), "POST": e.pageHandler("logout", e.logout)}},
		{"/style.css", page, nobody, methods{"GET": http.HandlerFunc(e.style)}},
	}

	router := mux.NewRouter().SkipClean(true) // mux would redirect POST //token with 301
	for _, route := range routes {
		handler := route.methods.handler(http.HandlerFunc(notAllowed))
		if route.page {
			handler = e.sameOrigin(route.methods.handler(http.HandlerFunc(e.notAllowedPage)))
		}
		router.Path(route.path).Handler(httpserver.CORS(route.origins, route.methods.names()...)(handler))
	}
	router.Use(nameRoute)
	router.NotFoundHandler = http.HandlerFunc(e.notFound)
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

// names returns the methods in order. HEAD comes with GET (RFC 9110 §9.1).
func (m methods) names() []string {
	names := slices.Collect(maps.Keys(m))
	if _, ok := m[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return names
}

// handler answers every other method with the Allow that RFC 9110 §15.5.6 wants, which mux
// leaves out, and what other adds to it.
func (m methods) handler(other http.Handler) http.Handler {
	allow := strings.Join(m.names(), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http leaves the body out
		}
		if h, ok := m[method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		other.ServeHTTP(w, r)
	})
}

// notAllowed answers for a method that an endpoint does not have.
func notAllowed(w http.ResponseWriter, _ *http.Request) {
	problem.Write(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

// sameOrigin refuses forms that a page of another site has made a browser send.
func (e *endpoints) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.message(w, http.StatusForbidden, "This form came from another site",
			"It was not accepted.", "To log in, go back to the app and start again.")
	}))
	return protection.Handler(next)
}
