package adminapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
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

// ifMatch reports whether an entity tag satisfies the header If-Match (RFC 9110 section 13.1.1). Without the header,
// every tag does. A malformed list matches nothing.
func ifMatch(header, etag string) bool {
	header = strings.Trim(header, " \t")
	if header == "" || header == "*" {
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
