package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// knownMethods are the methods that a route may have, in the order in which Allow
// names them.
var knownMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

// router is gorilla/mux without what an API pays for and does not need. A path
// without variables is compared, where mux would run a regular expression twice. The
// match is asked for and its handler called, where mux would copy the request twice
// to store the match in its context; that also leaves out mux's redirects to cleaned
// paths. And a route for GET answers HEAD too (RFC 9110 §9.1).
type router struct{ mux *mux.Router }

func newRouter() *router { return &router{mux: mux.NewRouter()} }

// operation adds an operation of the API. Its path may have variables.
func (rt *router) operation(method, path string, h http.HandlerFunc) {
	route := rt.mux.NewRoute()
	if strings.Contains(path, "{") {
		route = route.Path(path)
	} else {
		route = route.MatcherFunc(pathIs(path))
	}
	finish(route, method, path, h)
}

// page adds something that is not an operation, such as a document, at exactly
// this path.
func (rt *router) page(path string, h http.HandlerFunc) {
	finish(rt.mux.NewRoute().MatcherFunc(pathIs(path)), http.MethodGet, path, h)
}

// document returns a handler that answers with bytes made once.
func document(contentType string, body []byte, headers map[string]string) http.HandlerFunc {
	length := strconv.Itoa(len(body))
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, value := range headers {
			h.Set(name, value)
		}
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", length)
		_, _ = w.Write(body) // the client is gone if this fails
	}
}

// pathIs matches requests for exactly this path.
func pathIs(path string) mux.MatcherFunc {
	return func(r *http.Request, _ *mux.RouteMatch) bool { return r.URL.Path == path }
}

// finish gives the route, which knows its path, its methods and its handler.
func finish(route *mux.Route, method, template string, h http.HandlerFunc) {
	methods := []string{method}
	if method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	route.Methods(methods...).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserver.SetRoute(w, template)
		h(w, r)
	})
}

// ServeHTTP answers with the route that takes the request, or with 404 or 405.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var match mux.RouteMatch
	switch {
	case rt.mux.Match(r, &match):
		if len(match.Vars) > 0 {
			r = mux.SetURLVars(r, match.Vars)
		}
		match.Handler.ServeHTTP(w, r)
	case errors.Is(match.MatchErr, mux.ErrMethodMismatch):
		w.Header().Set("Allow", strings.Join(rt.allowed(r), ", "))
		problem.Write(w, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
	default:
		problem.Write(w, http.StatusNotFound, http.StatusText(http.StatusNotFound))
	}
}

// allowed returns the methods that the path of r has a route for.
func (rt *router) allowed(r *http.Request) []string {
	probe := r.WithContext(r.Context())
	return slices.DeleteFunc(slices.Clone(knownMethods), func(method string) bool {
		probe.Method = method
		return !rt.mux.Match(probe, &mux.RouteMatch{})
	})
}

// methods returns the methods that any route has.
func (rt *router) methods() []string {
	var methods []string
	_ = rt.mux.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		of, err := r.GetMethods()
		methods = append(methods, of...)
		return err
	})
	slices.Sort(methods)
	return slices.Compact(methods)
}
