package bearer

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// MetadataPath is where a protected resource publishes its metadata, put between
// the host and the path of its identifier (RFC 9728 §3.1).
const MetadataPath = "/.well-known/oauth-protected-resource"

// retryAfter is what a client is told to wait when a token cannot be judged, in
// seconds.
const retryAfter = "1"

// Refusal is the answer to a request that is not let through.
type Refusal struct {
	// Status is the HTTP status: 400, 401, 403 or 503.
	Status int
	// Code is the error of RFC 6750 §3.1; empty when the request had no credentials
	// at all, and with 503.
	Code oauth.ErrorCode
	// Detail is for the developer of the client.
	Detail string
	// Scope is what the request needs; set with insufficient_scope only.
	Scope oauth.Scope
	// Audience is the API's identifier: the realm of the challenge, and where its
	// metadata is found.
	Audience string
}

// Challenge returns the value of WWW-Authenticate (RFC 6750 §3), each attribute
// once. With 503 there is none: it is empty.
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
	attribute("resource_metadata", MetadataURL(f.Audience))
	return strings.TrimSuffix("Bearer "+strings.Join(attributes, ", "), " ")
}

// Write answers with the challenge and a problem document (RFC 9457).
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

// MetadataURL returns where the metadata of the API with this identifier is
// published (RFC 9728 §3.1), and nothing when the identifier is not an http(s) URL.
// A path and a query of the identifier come after MetadataPath, as they are
// written; a slash at the end of the path does not.
func MetadataURL(audience string) string {
	u, err := url.Parse(audience)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	at := u.Scheme + "://" + u.Host + MetadataPath + strings.TrimSuffix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		at += "?" + u.RawQuery
	}
	return at
}
