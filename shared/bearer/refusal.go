package bearer

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// MetadataPath is the well-known path of a protected resource's metadata. It goes between the host
// and the path of the resource's identifier (RFC 9728 section 3.1).
const MetadataPath = "/.well-known/oauth-protected-resource"

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
	// Audience is the API's identifier: the realm of the challenge, from which the address of its
	// metadata is made. Empty means no realm and no metadata.
	Audience string
}

// Challenge returns the value of WWW-Authenticate (RFC 6750 section 3). It is empty with 503, since a
// client must keep its token then.
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

// MetadataURL returns the address of the metadata of the API with this identifier (RFC 9728 section
// 3.1), and "" if the identifier is not an http(s) URL. The identifier's path, without a slash at its
// end, and its query follow MetadataPath unchanged.
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
