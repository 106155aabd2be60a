package web

import (
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
)

// maxBody bounds the body of a token request, in bytes.
const maxBody = 16 << 10

// parameters are those of the token endpoint that an error may name. A name that a
// caller made up is not repeated.
var parameters = map[string]bool{
	"grant_type": true, "username": true, "password": true, "scope": true, "client_id": true, "client_secret": true,
	"code": true, "redirect_uri": true, "code_verifier": true, "refresh_token": true, "resource": true, "token": true, "token_type_hint": true,
}

// invalid returns invalid_request with a description.
func invalid(format string, args ...any) error {
	return oauth.ErrInvalidRequest.Describe(fmt.Sprintf(format, args...))
}

// Which media types readForm takes.
const (
	urlencodedOnly        = false
	multipartForPasswords = true // as the original program did
)

// readForm reads the parameters of a request: from the body alone, each at most once,
// in UTF-8 without NUL. Empty ones are left out, since they count as absent (OAuth
// 2.1 §3.2).
func readForm(w http.ResponseWriter, r *http.Request, multipartToo bool) (url.Values, error) {
	if err := refuseQuery(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, invalid("the body must be sent as it is, without a Content-Encoding")
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
		return nil, invalid("the Content-Type must be application/x-www-form-urlencoded, with username, password and the other parameters as form fields")
	}
	if err != nil {
		return nil, err
	}
	return clean(values)
}

// refuseQuery keeps credentials out of URLs, where logs would keep them
// (RFC 6749 §2.3.1).
func refuseQuery(query string) error {
	if query == "" {
		return nil
	}
	values, _ := url.ParseQuery(query) // what is malformed is refused all the same
	var found []string
	for name := range values {
		if parameters[name] {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return invalid("parameters must be in the body, none in the query")
	}
	slices.Sort(found) // the same request gets the same answer
	return invalid("%s must be in the body, not in the query", strings.Join(found, " and "))
}

func urlencoded(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, bodyError(err, "the body is not a well-formed urlencoded form: a percent sign must be followed by two hex digits, a semicolon must be escaped")
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
	if grantType := values.Get("grant_type"); grantType != "" && grantType != string(oauth.GrantPassword) {
		return nil, invalid("the Content-Type must be application/x-www-form-urlencoded for this grant type")
	}
	return values, nil
}

// bodyError tells a body that is too large, or did not come, from one that is malformed.
func bodyError(err error, malformed string) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return invalid("the body is larger than %d bytes", maxBody)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded):
		return invalid("the body ended early, or took too long to come")
	}
	return oauth.ErrInvalidRequest.Describe(malformed)
}

// clean drops empty parameters and refuses repeated and unreadable ones.
func clean(values url.Values) (url.Values, error) {
	cleaned := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(values)) { // the same request gets the same answer
		given := values[name]
		shown := "a parameter"
		if parameters[name] {
			shown = name
		}
		if len(given) > 1 && name == "resource" { // RFC 8707 §2 allows it
			return nil, &oauth.Error{Code: oauth.CodeInvalidTarget, Description: "resource is given more than once: a token is for one API"}
		}
		if len(given) > 1 {
			return nil, invalid("%s is given more than once", shown)
		}
		for _, text := range []string{name, given[0]} {
			if !utf8.ValidString(text) {
				return nil, invalid("%s is not valid UTF-8", shown)
			}
			if strings.ContainsRune(text, 0) {
				return nil, invalid("%s holds a NUL character", shown)
			}
		}
		if given[0] != "" {
			cleaned[name] = given
		}
	}
	return cleaned, nil
}
