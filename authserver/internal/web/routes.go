package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"
	"github.com/hallpass-auth/hallpass/shared/statuslist"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// methods are the handlers of one path by method.
type methods map[string]http.Handler

// route is a path with its methods.
type route struct {
	path    string
	page    bool     // a page for people: forms are accepted from our own pages only
	origins []string // of other pages whose scripts may call it
	methods methods
}

// everybody lets scripts of every origin call a route.
var everybody = []string{"*"}

// New returns the handler of the public listener. Use each registry for one handler only.
func New(cfg Config) http.Handler {
	e := newEndpoints(cfg)
	routes := slices.Concat(e.apiRoutes(), e.pageRoutes(), e.secondStepRoutes(), e.accountRoutes(),
		e.accountFactorRoutes())
	if cfg.AdminAPI != nil {
		routes = append(routes, e.enrolRoutes()...)
	}
	if cfg.Registration.On() {
		routes = append(routes, e.registrationRoutes()...)
	}
	if cfg.Recovery != nil {
		routes = append(routes, e.recoveryRoutes()...)
	}
	if cfg.Emails != nil {
		routes = slices.Concat(routes, e.emailRoutes(), e.accountEmailRoutes())
	}
	if cfg.SignUp != nil {
		routes = append(routes, e.signUpRoutes()...)
	}
	if len(e.theme.Logo.Content) > 0 {
		routes = append(routes, route{path: logoPath, page: true, methods: methods{"GET": http.HandlerFunc(e.logo)}})
	}

	router := mux.NewRouter().SkipClean(true) // mux would redirect POST //token with 301
	for _, route := range routes {
		handler := route.methods.handler(http.HandlerFunc(notAllowed))
		if route.page {
			handler = e.negotiate(e.sameOrigin(route.methods.handler(http.HandlerFunc(e.notAllowedPage))))
		}
		router.Path(route.path).Handler(httpserver.CORS(route.origins, route.methods.names()...)(handler))
	}
	if cfg.AdminAPI != nil {
		router.PathPrefix(issuing.AdminPath).Handler(cfg.AdminAPI)
		router.Path(adminMetadataPath).Handler(cfg.AdminAPI)
	}
	if cfg.Console != nil {
		console := e.negotiate(e.sameOrigin(cfg.Console(Site{e})))
		router.Path(consolePath).Handler(console)
		router.PathPrefix(consolePath + "/").Handler(console)
	}
	router.Use(nameRoute, nameActor)
	// Every origin may read that there is nothing: a script that asks is told so, not of CORS.
	router.NotFoundHandler = httpserver.CORS(everybody, http.MethodGet, http.MethodHead, http.MethodPost)(
		http.HandlerFunc(e.notFound))
	return router
}

// apiRoutes returns the routes of programs. Scripts of the allowed origins may call most of them.
func (e *endpoints) apiRoutes() []route {
	apps := e.cfg.AllowedOrigins
	metadata := methods{"GET": e.endpoint("metadata", e.metadata)}
	list := methods{"GET": http.HandlerFunc(e.statusList)}
	return []route{
		{path: "/token", origins: apps, methods: methods{"POST": e.endpoint("token", e.token)}},
		{path: "/device_authorization", origins: apps, methods: methods{
			"POST": e.endpoint("device_authorization", e.authorizeDevice),
		}},
		{path: "/par", origins: apps, methods: methods{"POST": e.endpointWithStatus("par", http.StatusCreated, e.push)}},
		{path: "/revoke", origins: apps, methods: methods{"POST": e.endpoint("revoke", e.revoke)}},
		{path: "/introspect", methods: methods{"POST": e.endpoint("introspect", e.introspect)}},
		{path: "/userinfo", origins: apps, methods: methods{
			"GET":  http.HandlerFunc(e.userinfo),
			"POST": http.HandlerFunc(e.userinfo),
		}},
		{path: "/.well-known/oauth-authorization-server", origins: everybody, methods: metadata},
		// The same document for the many clients that look nowhere else (RFC 8414 section 5).
		{path: "/.well-known/openid-configuration", origins: everybody, methods: metadata},
		{path: "/jwks.json", origins: everybody, methods: methods{"GET": e.endpoint("jwks", e.jwks)}},
		{path: statuslist.Path, origins: everybody, methods: methods{"GET": e.endpoint("status_lists", e.statusLists)}},
		{path: statuslist.Path + "/{list}", origins: everybody, methods: list},
		{path: statuslist.Path + "/{list}/{api}", origins: everybody, methods: list},
		{path: statuslist.Path + "/{epoch}/{list}/{api}", origins: everybody, methods: list},
	}
}

// pageRoutes returns the routes of pages.
func (e *endpoints) pageRoutes() []route {
	return []route{
		{path: "/", page: true, methods: methods{"GET": e.pageHandler("home", e.home)}},
		{path: authorizePath, page: true, methods: methods{
			"GET":  e.pageHandler("authorize", e.authorize),
			"POST": e.pageHandler("authorize", e.authorizeByPost),
		}},
		{path: "/login", page: true, methods: methods{"POST": e.pageHandler("login", e.login)}},
		{path: "/consent", page: true, methods: methods{"POST": e.pageHandler("consent", e.consent)}},
		{path: issuing.DevicePath, page: true, methods: methods{
			"GET":  e.pageHandler("device", e.device),
			"POST": e.pageHandler("device", e.decideDevice),
		}},
		{path: deviceLoginPath, page: true, methods: methods{"POST": e.pageHandler("device_login", e.deviceLogin)}},
		{path: "/logout", page: true, methods: methods{
			"GET":  e.pageHandler("logout", e.showLogout),
			"POST": e.pageHandler("logout", e.logout),
		}},
		{path: endSessionPath, page: true, methods: methods{
			"GET":  e.pageHandler("end_session", e.endSession),
			"POST": e.pageHandler("end_session", e.endSessionByPost),
		}},
		{path: confirmEndSessionPath, page: true, methods: methods{
			"POST": e.pageHandler("end_session", e.confirmEndSession),
		}},
		{path: "/style.css", page: true, methods: methods{"GET": http.HandlerFunc(e.style)}},
		{path: "/passkey.js", page: true, methods: methods{"GET": http.HandlerFunc(e.passkeyScript)}},
	}
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
