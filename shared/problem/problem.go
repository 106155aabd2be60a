// Package problem writes problem documents (RFC 9457), the one form of an error
// body in Hallpass outside the token endpoint.
//
// It exists so that a refusal by the bearer middleware, a validation error and a
// panic look alike to the program that reads them.
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// Document is a problem without a type of its own (RFC 9457 §4.2.1).
type Document struct {
	// Title is the usual text of the status.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail says what was wrong and, where that helps, what to do.
	Detail string `json:"detail"`
}

// New returns the problem of the status with a detail for the developer of the
// client.
func New(status int, detail string) Document {
	return Document{Title: http.StatusText(status), Status: status, Detail: detail}
}

// Write answers with the problem of the status. A Content-Length that was set for
// another body is dropped.
func Write(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(New(status, detail))
	if err != nil {
		panic(err) // two strings and a number always have a JSON form
	}
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails: there is nobody to tell
}
