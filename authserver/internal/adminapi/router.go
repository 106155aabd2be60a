package adminapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// knownMethods are the methods that operations have, in the order in which Allow lists them.
var knownMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// newRouter returns a router whose 404 and 405 responses are problem documents.
func newRouter() *mux.Router {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusNotFound, http.StatusText(http.StatusNotFound))
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(router, r), ", "))
		problem.Write(w, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
	})
	return router
}

// allowed returns the methods that the path of r has an operation for.
func allowed(router *mux.Router, r *http.Request) (methods []string) {
	for _, method := range knownMethods {
		probe := r.Clone(r.Context())
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

// textQuery returns a handler that refuses parameters of the query that no database can compare.
func textQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsTextQuery(r.URL.RawQuery) {
			problem.Write(w, http.StatusBadRequest, "The query must be text in UTF-8")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsTextQuery reports whether a query is well-formed, and all its names and values are text that every database can
// compare.
func IsTextQuery(query string) bool {
	parameters, err := url.ParseQuery(query)
	for name, values := range parameters {
		if !record.IsText(strings.Join(append(values, name), " ")) {
			return false
		}
	}
	return err == nil
}

// unescapeVars returns a handler that unescapes the parameters of the path, after routing: a username may have a slash.
func unescapeVars(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vars := map[string]string{}
		for name, value := range mux.Vars(r) {
			text, err := url.PathUnescape(value)
			if err != nil || !record.IsText(text) {
				problem.Write(w, http.StatusBadRequest, "The path must be text in UTF-8")
				return
			}
			vars[name] = text
		}
		next.ServeHTTP(w, mux.SetURLVars(r, vars))
	})
}

// named returns a handler whose requests have the route's name in the metrics.
func named(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.SetRoute(w, route)
		next.ServeHTTP(w, r)
	})
}

// noStore returns a handler whose responses caches must not store: they have personal data.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// headAsGet serves HEAD with the handler of GET (RFC 9110 section 9.3.2). The server drops the body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(dpop.WithMethod(r.Context(), http.MethodHead))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// addPage adds a GET handler for exactly this path.
func addPage(router *mux.Router, path string, h http.Handler) {
	isPath := func(r *http.Request, _ *mux.RouteMatch) bool { return r.URL.Path == path }
	router.MatcherFunc(isPath).Methods(http.MethodGet).Handler(named(path, h))
}
