package adminapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

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

// noStore returns a handler whose responses caches must not store: they have personal data.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
