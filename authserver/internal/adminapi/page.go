package adminapi

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Bounds of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
	maxQuery     = 256  // bytes of a search
	maxCursor    = 1024 // bytes of a cursor
)

// PageIn selects a page of a list.
type PageIn struct {
	After string `query:"after" maxLength:"1024" doc:"Cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Maximum number of entries"`
	Q     string `query:"q" maxLength:"256" doc:"Only entries that begin with this text"`
}

// Page is a page of a list.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false" doc:"The entries, in order"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one"`
}

// PageOut is the response with a page.
type PageOut[T any] struct {
	Link string `header:"Link" doc:"The URL of the next page, with rel=\"next\" (RFC 8288)"`
	Body Page[T]
}

// errCursor is returned for a cursor that this API has not made.
var errCursor = errors.New("after is not a cursor of this API")

// encodeCursor returns the cursor of the page after an entry with a key. An empty key has an empty cursor.
func encodeCursor(key string) string {
	if key == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte("1" + key))
}

// decodeCursor is the inverse of encodeCursor. The error is errCursor.
func decodeCursor(cursor string) (key string, err error) {
	if cursor == "" {
		return "", nil
	}
	if len(cursor) > maxCursor {
		return "", errCursor
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	key, ok := strings.CutPrefix(string(text), "1")
	if err != nil || !ok || key == "" || !record.IsText(key) {
		return "", errCursor
	}
	return key, nil
}

// page returns what to read: one entry more than the page has, to know whether there is a next one.
func (p PageIn) page() (record.Page, error) {
	after, err := decodeCursor(p.After)
	if err != nil {
		return record.Page{}, huma.Error400BadRequest(err.Error())
	}
	if !record.IsText(p.Q) || len(p.Q) > maxQuery {
		return record.Page{}, huma.Error400BadRequest("q must be text in UTF-8, of at most 256 bytes")
	}
	return record.Page{After: after, Prefix: p.Q, Limit: p.limit() + 1}, nil
}

// limit returns the maximum number of entries of the page. Callers in process may leave it out.
func (p PageIn) limit() int {
	if p.Limit < 1 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// pageOut returns the page of what was read. The key of an entry is what the list is sorted by.
func pageOut[E, T any](a *API, path string, in PageIn, read []E, show func(E) T, key func(E) string) *PageOut[T] {
	out := &PageOut[T]{Body: Page[T]{Items: []T{}}}
	if n := in.limit(); len(read) > n {
		read = read[:n]
		setNext(a, out, path, in, key(read[n-1]))
	}
	for _, entry := range read {
		out.Body.Items = append(out.Body.Items, show(entry))
	}
	return out
}

// setNext links to the page after a key. It does nothing for an empty key.
func setNext[T any](a *API, out *PageOut[T], path string, in PageIn, key string) {
	if key == "" {
		return
	}
	out.Body.Next = encodeCursor(key)
	query := url.Values{"after": {out.Body.Next}, "limit": {strconv.Itoa(in.limit())}}
	if in.Q != "" {
		query.Set("q", in.Q)
	}
	out.Link = "<" + a.cfg.Issuer + Path + path + "?" + query.Encode() + `>; rel="next"`
}

// ListOut is the response with a complete list, which has no pages.
type ListOut[T any] struct {
	Body struct {
		Items []T `json:"items" nullable:"false"`
	}
}

// listOut returns the response with all entries as show returns them, or err.
func listOut[E, T any](entries []E, err error, show func(E) T) (*ListOut[T], error) {
	if err != nil {
		return nil, err
	}
	out := &ListOut[T]{}
	out.Body.Items = make([]T, 0, len(entries))
	for _, entry := range entries {
		out.Body.Items = append(out.Body.Items, show(entry))
	}
	return out, nil
}
