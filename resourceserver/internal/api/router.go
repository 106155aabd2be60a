package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// knownMethods are the methods that a route may have, in the order in which Allow lists them.
var knownMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// newRouter returns a router whose 404 and 405 responses are problem documents. It does not redirect paths
// such as //items to their clean form.
func newRouter() *mux.Router {
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
func allowed(router *mux.Router, r *http.Request) []string {
	var methods []string
	for _, method := range knownMethods {
		probe := r.WithContext(r.Context())
		probe.Method = method
		var match mux.RouteMatch
		if router.Match(probe, &match) && match.MatchErr == nil {
			methods = append(methods, withHead(method)...)
		}
	}
	return methods
}

// withHead returns the method, and HEAD after GET.
func withHead(method string) []string {
	if method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}

// named returns a handler whose requests have the route's name in the metrics.
func named(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.SetRoute(w, route)
		next.ServeHTTP(w, r)
	})
}

// headAsGet is middleware that serves HEAD with the handler of GET (RFC 9110 section 9.3.2). The server
// drops the body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(dpop.WithMethod(r.Context(), http.MethodHead)) // for which the client has made its proof
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// addPage adds a GET handler for exactly this path. The path is not a template.
func addPage(router *mux.Router, path string, h http.Handler) {
	isPath := func(r *http.Request, _ *mux.RouteMatch) bool { return r.URL.Path == path }
	router.MatcherFunc(isPath).Methods(http.MethodGet).Handler(named(path, h))
}

// document returns a handler that responds with the body and headers.
func document(contentType string, body []byte, headers map[string]string) http.HandlerFunc {
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, value := range headers {
			h.Set(name, value)
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", length)
		_, _ = w.Write(body) // an error means that the client has disconnected
	}
}
