package adminapi

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

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
