package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// failure is the HTTP form of an error, for clients and for pages.
type failure struct {
	status      int
	code        oauth.ErrorCode // for clients, and for the metrics
	description string          // for the client's developers
	title       string          // of a page; empty for a generic one
	userText    string          // on a page; empty to derive it from the description
	advice      string          // on a page: what the user can do
	retryAfter  int             // seconds; 0 sends no Retry-After
	unexpected  bool            // a fault of the server, to be logged
}

// statuses holds the status of each OAuth error that is not 400 (RFC 6749 section 5.2).
var statuses = map[oauth.ErrorCode]int{
	oauth.CodeInvalidClient: http.StatusUnauthorized,
}

// failureOf maps an error to HTTP. The text of an unknown error is never shown.
func failureOf(err error) failure {
	var protocol *oauth.Error
	var page *pageError
	switch {
	case errors.As(err, &protocol):
		status, ok := statuses[protocol.Code]
		if !ok {
			status = http.StatusBadRequest
		}
		return failure{status: status, code: protocol.Code, description: protocol.Description}
	case errors.As(err, &page):
		return failure{
			status: http.StatusBadRequest, code: "refused",
			description: page.text, title: page.title, userText: page.text, advice: page.advice,
		}
	case errors.Is(err, revocation.ErrNotFound):
		return failure{status: http.StatusNotFound, code: "not_found", description: "Not Found"}
	case errors.Is(err, account.ErrIncorrect):
		return failure{
			status: http.StatusBadRequest, code: oauth.CodeInvalidGrant,
			userText: "Wrong username or password.",
		}
	}
	if f, ok := temporaryFailureOf(err); ok {
		return f
	}
	return failure{
		status: http.StatusInternalServerError, code: oauth.CodeServerError, unexpected: true,
		description: "internal error: the server log has the reason under the id in X-Request-Id",
		userText:    "Sorry, this is a problem on our side.",
		advice:      "Try again in a few minutes.",
	}
}

// temporaryFailureOf maps the errors after which a client may try again.
func temporaryFailureOf(err error) (f failure, ok bool) {
	f = failure{status: http.StatusServiceUnavailable, code: oauth.CodeTemporarilyUnavailable, retryAfter: 1}
	var throttled *account.ThrottledError
	switch {
	case errors.As(err, &throttled):
		wait := waitText(throttled.Seconds())
		f.status, f.retryAfter = http.StatusTooManyRequests, throttled.Seconds()
		f.description = "too many failed attempts: try again in " + wait
		f.userText = "Too many failed attempts. Try again in " + wait + "."
	case errors.Is(err, account.ErrOverloaded):
		f.description = "too many logins at once: try again in a moment"
		f.userText = "Many people are logging in right now. Try again in a moment."
	case errors.Is(err, context.Canceled):
		f.description = "the request was canceled"
	case errors.Is(err, store.ErrUnavailable):
		f.retryAfter, f.unexpected = 2, true
		f.description = "the server is temporarily unavailable: try again in a moment"
		f.title = "Temporarily unavailable"
		f.userText, f.advice = "Sorry, this service is not available right now.", "Try again in a moment."
	default:
		return failure{}, false
	}
	return f, true
}

// waitText returns a wait in words: in seconds up to two minutes, then in minutes.
func waitText(seconds int) string {
	switch {
	case seconds == 1:
		return "1 second"
	case seconds <= 120:
		return strconv.Itoa(seconds) + " seconds"
	}
	return strconv.Itoa((seconds+59)/60) + " minutes"
}

// write writes the failure as an error response of RFC 6749 section 5.2.
func (f failure) write(w http.ResponseWriter, realm string) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+oauth.DescriptionText(realm)+`"`)
	}
	f.setRetryAfter(w)
	writeJSON(w, f.status, oauth.ErrorResponse{Error: f.code, Description: f.description})
}

// writeProblem writes the failure as a problem document (RFC 9457), as protected resources
// do.
func (f failure) writeProblem(w http.ResponseWriter) {
	f.setRetryAfter(w)
	problem.Write(w, f.status, f.description)
}

// writePage writes the failure as a page.
func (f failure) writePage(e *endpoints, w http.ResponseWriter) {
	f.setRetryAfter(w)
	e.message(w, f.status, cmp.Or(f.title, "Something went wrong"),
		cmp.Or(f.userText, "The request from the app was refused: "+f.description+"."), f.advice)
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
