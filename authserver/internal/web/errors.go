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

// failure is what an error looks like to a client, and to a person at one of the pages.
type failure struct {
	status     int
	code       oauth.ErrorCode // what is counted, too; where no client is told one, a word of ours
	text       string          // for those who make the client
	title      string          // of a page of its own; empty for most
	forPerson  string          // what a page says in place of the text; empty where nothing else is to be said
	retryAfter int             // seconds; 0 means that no Retry-After is sent
	unexpected bool            // nobody but us can do anything about it: it belongs into the log
}

// statuses are those of the protocol's errors; all others are 400 (RFC 6749 §5.2).
var statuses = map[oauth.ErrorCode]int{
	oauth.CodeInvalidClient: http.StatusUnauthorized,
}

// failureOf is the one table from errors to HTTP. An error that it does not know
// becomes a fixed text.
func failureOf(err error) failure {
	var protocol *oauth.Error
	var throttled *account.ThrottledError
	var page *pageError
	switch {
	case errors.As(err, &protocol):
		status, ok := statuses[protocol.Code]
		if !ok {
			status = http.StatusBadRequest
		}
		return failure{status: status, code: protocol.Code, text: protocol.Description}
	case errors.As(err, &page):
		return failure{status: http.StatusBadRequest, code: "refused", text: page.text, title: page.title, forPerson: page.text}
	case errors.Is(err, revocation.ErrNotFound):
		return failure{status: http.StatusNotFound, code: "not_found", text: "Not Found"}
	case errors.Is(err, account.ErrIncorrect):
		return failure{status: http.StatusBadRequest, code: oauth.CodeInvalidGrant,
			forPerson: "That username and password do not belong together. Upper and lower case matter."}
	case errors.As(err, &throttled):
		in := strconv.Itoa(throttled.Seconds()) + " seconds"
		return failure{status: http.StatusTooManyRequests, code: oauth.CodeTemporarilyUnavailable, retryAfter: throttled.Seconds(),
			text: "too many failed attempts: try again in " + in, forPerson: "That was wrong too often. Try again in " + in + "."}
	case errors.Is(err, account.ErrOverloaded):
		return failure{status: http.StatusServiceUnavailable, code: oauth.CodeTemporarilyUnavailable, retryAfter: 1,
			text: "too many logins at once: try again in a moment", forPerson: "Many people are logging in right now. Try again in a moment."}
	case errors.Is(err, context.Canceled):
		return failure{status: http.StatusServiceUnavailable, code: oauth.CodeTemporarilyUnavailable, retryAfter: 1,
			text: "the request was given up"}
	case errors.Is(err, store.ErrUnavailable):
		return failure{status: http.StatusServiceUnavailable, code: oauth.CodeTemporarilyUnavailable, retryAfter: 2, unexpected: true,
			text: "the server cannot reach its data right now: try again in a moment"}
	}
	return failure{status: http.StatusInternalServerError, code: oauth.CodeServerError, unexpected: true,
		text: "the server failed: its log has the reason under the id in X-Request-Id"}
}

// write answers by RFC 6749 §5.2.
func (f failure) write(w http.ResponseWriter, realm string) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+oauth.DescriptionText(realm)+`"`)
	}
	f.setRetryAfter(w)
	body := map[string]any{"error": f.code}
	if f.text != "" {
		body["error_description"] = f.text
	}
	writeJSON(w, f.status, body)
}

// writeProblem answers with a problem document (RFC 9457), as protected resources do.
func (f failure) writeProblem(w http.ResponseWriter) {
	f.setRetryAfter(w)
	problem.Write(w, f.status, f.text)
}

// writePage answers with a page that has nothing but the error.
func (f failure) writePage(e *endpoints, w http.ResponseWriter) {
	f.setRetryAfter(w)
	e.message(w, f.status, cmp.Or(f.title, "Something went wrong"), cmp.Or(f.forPerson, "Sorry: "+f.text+"."))
}

func (f failure) setRetryAfter(w http.ResponseWriter) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
}

// writeJSON answers with headers that keep tokens out of caches (RFC 6749 §5.1), unless
// the endpoint has said that everybody may keep the answer.
func writeJSON(w http.ResponseWriter, status int, body map[string]any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client is gone if this fails: there is nobody to tell
}
