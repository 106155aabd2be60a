// Package publicdoc serves documents that everybody may read, such as metadata and API descriptions.
package publicdoc

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rs/cors"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// preflightAge is how long a browser may cache the response to a preflight.
const preflightAge = 10 * time.Minute

// AnyOrigin returns middleware for GET and HEAD of a document that is the same for everybody: scripts of
// every origin may read it, whatever headers they send. Libraries add headers of their own, such as
// MCP-Protocol-Version, for which a browser asks first, by a preflight. Cookies are not allowed.
func AnyOrigin(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead},
		AllowedHeaders: []string{"*"},
		MaxAge:         int(preflightAge / time.Second),
	}).Handler(next)
}

// Handler returns a handler of GET and HEAD that responds with the body, for AnyOrigin. Other methods get
// a 405.
func Handler(contentType string, body []byte) http.Handler {
	length := strconv.Itoa(len(body))
	return AnyOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem.Write(w, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(body) // an error means that the client has disconnected
	}))
}
