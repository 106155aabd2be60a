package httpserver

import "net/http"

// closeAfterChunks wraps next: the connection closes after the response to a request with a Transfer-Encoding. The
// request may have had a Content-Length, too, which net/http drops. A server must then close the connection, because a
// proxy may have gone by the Content-Length, and take what follows for a request of somebody else (RFC 9112
// section 6.1).
func closeAfterChunks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
