package api

import (
	"maps"
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

// router finds the route of a request. A path without variables is looked up, and
// before the others; gorilla/mux has those with variables. It is asked for the match
// alone: its own ServeHTTP copies the request twice to store the match in the context,
// and redirects paths that are not clean. A route for GET answers HEAD too (RFC 9110
// §9.1).
type router struct {
	fixed  map[string]byMethod // by path
	varied *mux.Router
}

// byMethod are the handlers of a path.
type byMethod map[string]http.HandlerFunc

func newRouter() *router {
	return &router{fixed: map[string]byMethod{}, varied: mux.NewRouter()}
}

// operation adds an operation of the API. Its path may have variables.
func (rt *router) operation(method, path string, h http.HandlerFunc) {
	if !strings.Contains(path, "{") {
		rt.add(method, path, h)
		return
	}
	rt.varied.Path(path).Methods(answered(method)...).HandlerFunc(noting(path, h))
}

// page adds something that is not an operation, such as a document, at exactly
// this path.
func (rt *router) page(path string, h http.HandlerFunc) {
	rt.add(http.MethodGet, path, h)
}

func (rt *router) add(method, path string, h http.HandlerFunc) {
	if rt.fixed[path] == nil {
		rt.fixed[path] = byMethod{}
	}
	for _, m := range answered(method) {
		rt.fixed[path][m] = noting(path, h)
	}
}

// answered returns the methods that a route for method answers.
func answered(method string) []string {
	if method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{method}
}

// noting returns h, which first tells the metrics which route it is.
func noting(template string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		httpserver.SetRoute(w, template)
		h(w, r)
	}
}

// ServeHTTP answers with the route that takes the request, or with 404 or 405.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := rt.fixed[r.URL.Path][r.Method]; ok {
		h(w, r)
		return
	}
	var match mux.RouteMatch
	if rt.varied.Match(r, &match) {
		match.Handler.ServeHTTP(w, mux.SetURLVars(r, match.Vars))
		return
	}
	status := http.StatusNotFound
	if allowed := rt.allowed(r); len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		status = http.StatusMethodNotAllowed
	}
	problem.Write(w, status, http.StatusText(status))
}

// allowed returns the methods that the path of r has a route for.
func (rt *router) allowed(r *http.Request) []string {
	probe := r.WithContext(r.Context())
	return slices.DeleteFunc(slices.Clone(knownMethods), func(method string) bool {
		probe.Method = method
		_, fixed := rt.fixed[r.URL.Path][method]
		return !fixed && !rt.varied.Match(probe, &mux.RouteMatch{})
	})
}

// methods returns the methods that any route has.
func (rt *router) methods() []string {
	var methods []string
	for _, handlers := range rt.fixed {
		methods = slices.AppendSeq(methods, maps.Keys(handlers))
	}
	_ = rt.varied.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		of, err := r.GetMethods()
		methods = append(methods, of...)
		return err
	})
	slices.Sort(methods)
	return slices.Compact(methods)
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
