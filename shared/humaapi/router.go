package humaapi

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Methods returns the methods that operations may have, in the order in which Allow lists them. HEAD comes with GET:
// see HeadAsGet.
func Methods() []string {
	return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
}

// NewRouter returns a router whose 404 and 405 responses are problem documents. It does not redirect paths such as
// //items to their clean form.
func NewRouter() *mux.Router {
	router := mux.NewRouter().SkipClean(true)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusNotFound, http.StatusText(http.StatusNotFound))
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(router, r), ", "))
		problem.Write(w, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
	})
	return router
}

// allowed returns the methods that the path of r has a route for.
func allowed(router *mux.Router, r *http.Request) (methods []string) {
	for _, method := range Methods() {
		probe := r.WithContext(r.Context())
		probe.Method = method
		var match mux.RouteMatch
		if !router.Match(probe, &match) || match.MatchErr != nil {
			continue
		}
		if methods = append(methods, method); method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return methods
}

// AddPage adds a GET handler for exactly this path, which is not a template.
func AddPage(router *mux.Router, path string, h http.Handler) {
	isPath := func(r *http.Request, _ *mux.RouteMatch) bool { return r.URL.Path == path }
	router.MatcherFunc(isPath).Methods(http.MethodGet).Handler(Named(path, h))
}

// Named returns a handler whose requests have the route's name in the metrics.
func Named(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.SetRoute(w, route)
		next.ServeHTTP(w, r)
	})
}

// HeadAsGet is middleware that serves HEAD with the handler of GET (RFC 9110 section 9.3.2). The server drops the body.
func HeadAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(dpop.WithMethod(r.Context(), http.MethodHead)) // for which the client has made its proof
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}
