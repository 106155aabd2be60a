package httpserver

import (
	"net/http"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may cache the response to a preflight.
const preflightAge = 10 * time.Minute

// CORS returns middleware that lets scripts on pages from the origins call the handler with
// the methods and read the response. Origins are written as in the Origin header; "*" is
// all of them. Cookies are not allowed: a script sends credentials in a header or a body.
// With no origins the middleware does nothing.
func CORS(origins []string, methods ...string) func(http.Handler) http.Handler {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: methods,
		AllowedHeaders: []string{"Authorization", "Content-Type", "X-Requested-With"}, // Swagger UI sends the last
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After", RequestIDHeader},
		MaxAge:         int(preflightAge / time.Second),
	}).Handler
}
