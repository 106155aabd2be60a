package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// write writes the failure as an error response of RFC 6749 section 5.2.
func (f failure) write(w http.ResponseWriter, realm string) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+oauth.DescriptionText(realm)+`"`)
	}
	f.setRetryAfter(w)
	writeJSON(w, f.status, oauth.ErrorResponse{Error: f.code, Description: f.description})
}

// writeBearer writes the failure as write does, at an endpoint of bearer tokens. The challenge is that of RFC 6750
// section 3, without an error code if the request has no token (section 3.1).
func (f failure) writeBearer(w http.ResponseWriter, r *http.Request, realm string) {
	if f.code != oauth.CodeInvalidToken {
		f.write(w, realm)
		return
	}
	challenge := `Bearer realm="` + oauth.DescriptionText(realm) + `"`
	if bearerToken(r) != "" {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	writeJSON(w, f.status, oauth.ErrorResponse{Error: f.code, Description: f.description})
}

// writeProblem writes the failure as a problem document (RFC 9457), as protected resources
// do.
func (f failure) writeProblem(w http.ResponseWriter) {
	f.setRetryAfter(w)
	problem.Write(w, f.status, f.description)
}

// writePage writes the failure as a page.
func (f failure) writePage(e *endpoints, w http.ResponseWriter, r *http.Request) {
	f.setRetryAfter(w)
	e.message(w, r, f.status, cmp.Or(f.title, say("Something went wrong")),
		cmp.Or(f.userText, say("The request from the app was refused: {reason}.", f.description)), f.advice)
}

func (f failure) setRetryAfter(w http.ResponseWriter) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
}

// writeJSON writes a JSON response. Unless Cache-Control is set already, it sets headers
// that forbid caching (RFC 6749 section 5.1).
func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // fails only if the client has disconnected
}
