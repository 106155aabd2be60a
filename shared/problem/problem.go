// Package problem writes problem documents (RFC 9457), the format of every error outside the OAuth
// endpoints: refusals of the bearer middleware, validation errors and panics.
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// Document is a problem of the type about:blank (RFC 9457 section 4.2.1).
type Document struct {
	// Title is the reason phrase of the status.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail says what was wrong and, where that helps, what to do.
	Detail string `json:"detail"`
}

// New returns the problem with an HTTP status and a detail for the developer of the client.
func New(status int, detail string) Document {
	return Document{Title: http.StatusText(status), Status: status, Detail: detail}
}

// Write responds with the problem document that New returns. It drops a Content-Length that was set for
// another body.
func Write(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(New(status, detail))
	if err != nil {
		panic(err) // two strings and a number can always be encoded
	}
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client has disconnected
}
