package httpserver

import (
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may cache the response to a preflight.
const preflightAge = 10 * time.Minute

// CORS returns middleware that lets scripts on pages from the origins call the handler with
// the methods and read the response. Origins are written as in the Origin header; "*" is
// all of them, and lets scripts send any header. Cookies are not allowed: a script sends
// credentials in a header or a body. Responses to other methods, such as 405, can be read, but a
// browser is not told that it may send them. With no origins the middleware does nothing.
func CORS(origins []string, methods ...string) func(http.Handler) http.Handler {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	headers := []string{
		"Authorization", "Content-Type", "DPoP", "If-Match", "If-None-Match", "Idempotency-Key",
		"X-Requested-With", // Swagger UI sends it
	}
	if slices.Contains(origins, "*") {
		headers = []string{"*"}
	}
	preflights, others := withCORS(origins, methods, headers), withCORS(origins, anyMethod, headers)
	return func(next http.Handler) http.Handler {
		preflight, other := preflights(next), others(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				preflight.ServeHTTP(w, r)
				return
			}
			other.ServeHTTP(w, r)
		})
	}
}

// anyMethod are the methods to which a response can be read.
var anyMethod = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
}

func withCORS(origins, methods, headers []string) func(http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: methods,
		AllowedHeaders: headers,
		ExposedHeaders: []string{"ETag", "Location", "WWW-Authenticate", "Retry-After", "DPoP-Nonce", RequestIDHeader},
		MaxAge:         int(preflightAge / time.Second),
	}).Handler
}
