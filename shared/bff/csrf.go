package bff

import (
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// csrfHeader is a header that the page sends with every request. A page of another origin cannot send it
// without a CORS preflight, which the Handler refuses.
const csrfHeader = "X-CSRF"

// fromPage passes on only requests that a script of the page has sent.
func (h *Handler) fromPage(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !h.sameOrigin(r):
			problem.Write(w, http.StatusForbidden, "The request comes from another site")
		case len(r.Header[http.CanonicalHeaderKey(csrfHeader)]) != 1 || r.Header.Get(csrfHeader) != "1":
			problem.Write(w, http.StatusForbidden, "The request needs the header "+csrfHeader+": 1")
		default:
			next(w, r)
		}
	})
}

// sameOrigin reports false if the browser says that a request comes from another origin. Browsers send
// Sec-Fetch-Site to https URLs and to this machine, and Origin with all requests but GET and HEAD.
func (h *Handler) sameOrigin(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		if origin != h.cfg.URL {
			return false
		}
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" {
			return false
		}
	}
	return true
}
