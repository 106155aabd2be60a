package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
)

// New returns the handler of the public listener. Use each registry for one handler only.
func New(cfg Config) http.Handler {
	e := newEndpoints(cfg)
	router := mux.NewRouter().SkipClean(true) // mux would redirect POST //token with 301
	for _, route := range e.routes() {
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
