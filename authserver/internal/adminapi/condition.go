package adminapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/problem"
)

// ETag returns an entity tag for v, which changes when the JSON of v changes.
func ETag(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // v is of a type that is not data
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// oneIfMatch returns a handler that joins the lines of If-Match, of which huma reads one (RFC 9110 section 5.3). It
// refuses the header without a tag, which huma does not tell from none: the change would have no precondition.
func oneIfMatch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lines := r.Header.Values("If-Match"); len(lines) > 0 {
			list := strings.Join(lines, ", ")
			if strings.Trim(list, " \t,") == "" {
				problem.Write(w, http.StatusBadRequest, "If-Match must be an ETag, a list of them, or *")
				return
			}
			r = r.Clone(r.Context())
			r.Header.Set("If-Match", list)
		}
		next.ServeHTTP(w, r)
	})
}

// ifMatch reports whether an entity tag satisfies the header If-Match (RFC 9110 section 13.1.1). A malformed list
// matches nothing.
func ifMatch(header, etag string) bool {
	if strings.Trim(header, " \t") == "*" {
		return true
	}
	for tag := range strings.SplitSeq(header, ",") { // the tags of this API have no commas
		if strings.Trim(tag, " \t") == etag {
			return true
		}
	}
	return false
}

// matching returns the precondition of If-Match for a record, as show shows it; nil without the header.
func matching[T, S any](header string, show func(T) S) func(T) bool {
	if header == "" {
		return nil
	}
	return func(current T) bool { return ifMatch(header, ETag(show(current))) }
}
