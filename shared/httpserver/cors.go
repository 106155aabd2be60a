package httpserver

import (
	"net/http"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember the answer to a preflight.
const preflightAge = 10 * time.Minute

// CORS returns middleware that lets scripts of pages from these origins call the
// handler with these methods, and read the answer. Cookies are not allowed: every
// credential travels in a header or a body that the script wrote itself. With no
// origins the middleware does nothing.
func CORS(origins []string, methods ...string) func(http.Handler) http.Handler {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: methods,
		AllowedHeaders: []string{"Authorization", "Content-Type", "X-Requested-With"}, // the last is what Swagger UI adds to a login
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After", RequestIDHeader},
		MaxAge:         int(preflightAge / time.Second),
	}).Handler
}
