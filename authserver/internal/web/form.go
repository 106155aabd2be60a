package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 16 << 10

// parameters are those that an error may name. Names that the caller has made up are not
// repeated.
var parameters = append(grant.Parameters(), "token", "token_type_hint")

// shownName returns the name of a parameter as an error may say it.
func shownName(name string) string {
	if slices.Contains(parameters, name) {
		return name
	}
	return "a parameter"
}

// invalid returns invalid_request with a description.
func invalid(format string, args ...any) error {
	return oauth.ErrInvalidRequest.Describe(fmt.Sprintf(format, args...))
}

// errNoToken is the response of the endpoints that are about a token to a request without one.
var errNoToken = invalid("missing: token")

// readTokenForm reads a request about a token: its client, which it authenticates, and the
// token, which may be empty.
func (e *endpoints) readTokenForm(w http.ResponseWriter, r *http.Request) (c client.Client, token string, err error) {
	form, err := readForm(w, r, urlencodedOnly)
	if err != nil {
		return client.Client{}, "", err
	}
	c, err = e.auth.authenticate(r, form)
	return c, form.Get("token"), err
}

// The media types that readForm accepts.
const (
	urlencodedOnly         = false
	multipartIfGrantAllows = true
)

// readForm returns the parameters in the body of a request. Each occurs once, in UTF-8 without
// NUL. Parameters in the query are refused. Empty parameters are left out: they count as absent
// (RFC 6749 section 3.2).
func readForm(w http.ResponseWriter, r *http.Request, multipartToo bool) (url.Values, error) {
	if err := refuseQuery(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, invalid("the body must be sent without a Content-Encoding")
	}
	httpserver.LimitBody(w, r, maxBody)
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || len(r.Header["Content-Type"]) > 1 {
		mediaType = ""
	}
	var values url.Values
	switch {
	case mediaType == "application/x-www-form-urlencoded":
		values, err = urlencoded(r)
	case mediaType == "multipart/form-data" && multipartToo:
		values, err = multipart(r)
	default:
		return nil, invalid("the Content-Type must be application/x-www-form-urlencoded, " +
			"with username, password and the other parameters as form fields")
	}
	if err != nil {
		return nil, err
	}
	return clean(values)
}

// refuseQuery refuses parameters in the query: credentials in URLs end up in logs (RFC 6749
// section 2.3.1).
func refuseQuery(query string) error {
	if query == "" {
		return nil
	}
	values, _ := url.ParseQuery(query) // a malformed query is refused as well
	var found []string
	for name := range values {
		if slices.Contains(parameters, name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return invalid("parameters must be in the body, none in the query")
	}
	slices.Sort(found) // the same request gets the same response
	return invalid("%s must be in the body, not in the query", strings.Join(found, " and "))
}

func urlencoded(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, bodyError(err, "the body is not a well-formed urlencoded form: "+
			"a percent sign must be followed by two hex digits, a semicolon must be escaped")
	}
	return r.PostForm, nil
}

func multipart(r *http.Request) (url.Values, error) {
	if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec // readForm has bounded the body
		return nil, bodyError(err, "the body is not a well-formed multipart form")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	if len(r.MultipartForm.File) > 0 {
		return nil, invalid("the form must not hold files")
	}
	values := url.Values(r.MultipartForm.Value)
	name := cmp.Or(values.Get("grant_type"), string(oauth.GrantPassword)) // as in checkGrantType
	if t, _ := grant.TypeOf(oauth.GrantType(name)); !t.Multipart {
		return nil, invalid("the Content-Type must be application/x-www-form-urlencoded for this grant type")
	}
	return values, nil
}

// errLargeBody is the error for a body that is too large. It wraps the response, which equals others.
var errLargeBody = fmt.Errorf("large body: %w", invalid("the body is larger than %d bytes", maxBody))

// bodyError returns the error for a body that is too large, incomplete or malformed.
func bodyError(err error, malformed string) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errLargeBody
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded):
		return invalid("the body ended early, or took too long to come")
	}
	return oauth.ErrInvalidRequest.Describe(malformed)
}

// errTwoTargets is the response to a request for a token for several APIs.
var errTwoTargets = &oauth.Error{
	Code: oauth.CodeInvalidTarget, Description: "resource is given more than once: a token is for one API",
}

// clean drops empty parameters and refuses those that are repeated or not readable.
func clean(values url.Values) (url.Values, error) {
	cleaned := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(values)) { // the same request gets the same response
		given := values[name]
		if len(given) > 1 && name == "resource" { // RFC 8707 section 2 allows it
			return nil, errTwoTargets
		}
		if len(given) > 1 {
			return nil, invalid("%s is given more than once", shownName(name))
		}
		if reason := cmp.Or(whyUnusable(name), whyUnusable(given[0])); reason != "" {
			return nil, invalid("%s %s", shownName(name), reason)
		}
		if given[0] != "" {
			cleaned[name] = given
		}
	}
	return cleaned, nil
}

// whyUnusable returns why a text cannot be used in a query of every database engine; empty if it can.
func whyUnusable(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "holds a NUL character"
	}
	return ""
}
