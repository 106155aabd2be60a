package bearer

import (
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// retryAfter is how long a client should wait when a token cannot be checked, in seconds.
const retryAfter = "1"

// Refusal is the response to a request that is not let through.
type Refusal struct {
	// Status is the HTTP status: 400, 401, 403 or 503.
	Status int
	// Code is the error code (RFC 6750 section 3.1); empty if the request has no credentials, and
	// with 503.
	Code oauth.ErrorCode
	// Detail is for the developer of the client.
	Detail string
	// Scope is what the request needs; set only with insufficient_scope.
	Scope oauth.Scope
	// Audience is the API's identifier: the realm of the challenge. Empty means no realm.
	Audience string
	// Metadata is the address of the API's metadata (RFC 9728 section 5.1); empty if it is not served.
	Metadata string
}

// Challenge returns the value of WWW-Authenticate (RFC 6750 section 3). It is empty with 503, because
// then the client must keep its token.
func (f *Refusal) Challenge() string {
	if f.Status == http.StatusServiceUnavailable {
		return ""
	}
	var attributes []string
	attribute := func(name, value string) {
		if value != "" {
			attributes = append(attributes, name+`="`+oauth.DescriptionText(value)+`"`)
		}
	}
	attribute("realm", f.Audience)
	attribute("error", string(f.Code))
	if f.Code != "" {
		attribute("error_description", f.Detail)
	}
	attribute("scope", f.Scope.String())
	attribute("resource_metadata", f.Metadata)
	return strings.TrimSuffix("Bearer "+strings.Join(attributes, ", "), " ")
}

// Write responds with the challenge and a problem document (RFC 9457).
func (f *Refusal) Write(w http.ResponseWriter) {
	h := w.Header()
	if challenge := f.Challenge(); challenge != "" {
		h.Set("WWW-Authenticate", challenge)
	} else {
		h.Set("Retry-After", retryAfter)
	}
	h.Set("Cache-Control", "no-store")
	problem.Write(w, f.Status, f.Detail)
}
