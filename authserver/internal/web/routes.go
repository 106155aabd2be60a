package web

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// Clients finds clients. It is safe for concurrent use.
type Clients interface {
	// ClientByID returns a client, or record.ErrNotFound.
	ClientByID(ctx context.Context, id string) (client.Client, error)
}

// Scopes knows what scopes mean. It is safe for concurrent use.
type Scopes interface {
	// ScopeDescriptions returns the scopes that are described, ordered by name.
	ScopeDescriptions(ctx context.Context) ([]resource.ScopeDescription, error)
}

// Config configures the endpoints. All fields but DefaultClient and AllowedOrigins are
// required.
type Config struct {
	// IssuerURL is the authorization server's identifier.
	IssuerURL string
	// DefaultClient is the id of the client assumed when a request omits client_id; empty
	// means that such a request is refused.
	DefaultClient string
	// AllowedOrigins are the origins of pages whose scripts may call the endpoints for apps.
	AllowedOrigins []string

	// Clients, Passwords, Sessions and Scopes are what the endpoints and pages look up.
	Clients   Clients
	Passwords issuing.Passwords
	Sessions  *store.Store
	Scopes    Scopes
	// Tokens issues, inspects and revokes tokens.
	Tokens *issuing.Service
	// Revocations publishes status lists, and Lists knows where.
	Revocations *revocation.Provider
	Lists       grant.Lists
	// Verifier accepts access tokens for the default API, as GET /userinfo does.
	Verifier *token.Verifier
	// Keys has the public keys.
	Keys keyring.Source
	// Now is the clock.
	Now func() time.Time
	// Log gets unexpected errors and security events.
	Log *slog.Logger
	// Registry gets the counters of the endpoints.
	Registry prometheus.Registerer
}

// methods are the handlers of one path by method.
type methods map[string]http.Handler

// New returns the handler of the public listener. Use each registry for one handler only.
func New(cfg Config) http.Handler {
	e := newEndpoints(cfg)
	apps := cfg.AllowedOrigins
	everybody := []string{"*"}
	var nobody []string
	const page, api = true, false
	metadata := methods{"GET": e.endpoint("metadata", e.metadata)}
	routes := []struct {
		path    string
		page    bool     // a page for people: forms are accepted from our own pages only
		origins []string // of other pages whose scripts may call it
		methods methods
	}{
		{"/token", api, apps, methods{"POST": e.endpoint("token", e.token)}},
		{"/revoke", api, apps, methods{"POST": e.endpoint("revoke", e.revoke)}},
		{"/introspect", api, nobody, methods{"POST": e.endpoint("introspect", e.introspect)}},
		{"/userinfo", api, apps, methods{"GET": http.HandlerFunc(e.userinfo)}},
		{"/.well-known/oauth-authorization-server", api, everybody, metadata},
		// The same document for the many clients that look nowhere else (RFC 8414 section 5).
		{"/.well-known/openid-configuration", api, everybody, metadata},
		{"/jwks.json", api, everybody, methods{"GET": e.endpoint("jwks", e.jwks)}},
		{statuslist.Path, api, everybody, methods{"GET": e.endpoint("status_lists", e.statusLists)}},
		{statuslist.Path + "/{list}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},
		{statuslist.Path + "/{list}/{api}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},
		{statuslist.Path + "/{epoch}/{list}/{api}", api, everybody, methods{"GET": http.HandlerFunc(e.statusList)}},

		{"/", page, nobody, methods{"GET": e.pageHandler("home", e.home)}},
		{"/authorize", page, nobody, methods{"GET": e.pageHandler("authorize", e.authorize)}},
		{"/login", page, nobody, methods{"POST": e.pageHandler("login", e.login)}},
		{"/consent", page, nobody, methods{"POST": e.pageHandler("consent", e.consent)}},
		{"/logout", page, nobody, methods{
			"GET":  e.pageHandler("logout", e.showLogout),
			"POST": e.pageHandler("logout", e.logout),
		}},
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
	// Every origin may read that there is nothing: a script that asks is told so, not of CORS.
	router.NotFoundHandler = httpserver.CORS(everybody, http.MethodGet, http.MethodHead, http.MethodPost)(
		http.HandlerFunc(e.notFound))
	return router
}

// nameRoute sets the route under which metrics count a request.
func nameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if template, err := mux.CurrentRoute(r).GetPathTemplate(); err == nil {
			httpserver.SetRoute(w, template)
		}
		next.ServeHTTP(w, r)
	})
}

// names returns the methods in order. HEAD comes with GET (RFC 9110 section 9.1).
func (m methods) names() []string {
	names := slices.Collect(maps.Keys(m))
	if _, ok := m[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return names
}

// handler serves the methods. For all others it calls other with the Allow header of RFC 9110
// section 15.5.6, which mux leaves out.
func (m methods) handler(other http.Handler) http.Handler {
	allow := strings.Join(m.names(), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http omits the body
		}
		if h, ok := m[method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		other.ServeHTTP(w, r)
	})
}

// notAllowed serves requests with a method that an endpoint does not have.
func notAllowed(w http.ResponseWriter, _ *http.Request) {
	problem.Write(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

// originOf returns the origin of a URL as browsers send it (RFC 6454 section 6.1).
func originOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// sameOrigin refuses forms that another site has made the browser send. The issuer's origin is
// our own even if a proxy has rewritten Host.
func (e *endpoints) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(originOf(e.cfg.IssuerURL)); err != nil {
		e.cfg.Log.Warn("forms are accepted by their Host only", "issuer", e.cfg.IssuerURL, "reason", err)
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.message(w, http.StatusForbidden, "This form came from another site",
			"It was not accepted.", "To log in, go back to the app and start again.")
	}))
	return protection.Handler(next)
}
