// Package publicdoc serves public documents, such as metadata and API descriptions.
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

// AnyOrigin wraps the handler of a public document: scripts of every origin may read it with GET and HEAD,
// without cookies. Every request header is allowed, because libraries add their own, such as
// MCP-Protocol-Version, and a browser then sends a preflight first.
func AnyOrigin(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead},
		AllowedHeaders: []string{"*"},
		MaxAge:         int(preflightAge / time.Second),
	}).Handler(next)
}

// Handler returns a handler that serves body to scripts of every origin. Methods other than GET and HEAD
// get a 405.
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
