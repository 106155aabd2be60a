package bearer

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/shared/dpop"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// retryAfter is how long a client should wait when a token cannot be checked, in seconds.
const retryAfter = "1"

// Refusal is the response to a request that is not let through.
type Refusal struct {
	// Status is the HTTP status: 400, 401, 403 or 503.
	Status int
	// Code is the error code (RFC 6750 section 3.1, RFC 9449 section 7.1); empty if the request has no credentials, and
	// with 503.
	Code oauth.ErrorCode
	// Detail is for the developer of the client.
	Detail string
	// Scope is what the request needs, with 401 and insufficient_scope.
	Scope oauth.Scope
	// Audience is the API's identifier: the realm of the challenge. Empty means no realm.
	Audience string
	// Metadata is the address of the API's metadata (RFC 9728 section 5.1); empty if it is not served.
	Metadata string
	// Scheme is the scheme of the challenge: Bearer, or DPoP for a request with that scheme and at an API that
	// requires it. Empty means Bearer.
	Scheme string
	// Algorithms are those of the proofs that the API accepts (RFC 9449 section 7.1). If Scheme is not DPoP, they
	// make a second challenge. Empty means that the client is not told.
	Algorithms []string
	// ACRValues and MaxAge say how and when the user must have logged in, with insufficient_user_authentication (RFC 9470
	// section 3). MaxAge is in whole seconds; zero means any age.
	ACRValues []string
	MaxAge    time.Duration
	// Nonce is for the client's next proofs (RFC 9449 section 9); empty if it need not be told.
	Nonce string
}

// Challenge returns the value of WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1). It is empty with
// 503, because then the client must keep its token.
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
	attribute("acr_values", strings.Join(f.ACRValues, " "))
	if f.MaxAge > 0 {
		attribute("max_age", strconv.FormatInt(int64(f.MaxAge/time.Second), 10))
	}
	attribute("resource_metadata", f.Metadata)
	if f.Scheme == dpop.Scheme {
		attribute("algs", strings.Join(f.Algorithms, " "))
	}
	return strings.TrimSuffix(cmp.Or(f.Scheme, bearerScheme)+" "+strings.Join(attributes, ", "), " ")
}

// Challenges returns all values of WWW-Authenticate: Challenge and, if the client may use DPoP instead, that.
func (f *Refusal) Challenges() []string {
	first := f.Challenge()
	switch {
	case first == "":
		return nil
	case f.Scheme != dpop.Scheme && len(f.Algorithms) > 0:
		return []string{first, dpop.Scheme + ` algs="` + strings.Join(f.Algorithms, " ") + `"`}
	}
	return []string{first}
}

// Write responds with the challenges and a problem document (RFC 9457).
func (f *Refusal) Write(w http.ResponseWriter) {
	h := w.Header()
	if challenges := f.Challenges(); challenges != nil {
		h["Www-Authenticate"] = challenges
	} else {
		h.Set("Retry-After", retryAfter)
	}
	setNonce(w, f.Nonce)
	h.Set("Cache-Control", "no-store")
	problem.Write(w, f.Status, f.Detail)
}
