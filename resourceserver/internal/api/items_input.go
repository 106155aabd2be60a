package api

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// Conditions are the fields of a conditional request (RFC 9110 section 13.1). The texts are for the OpenAPI
// document: huma keeps one line of a field, and Resolve needs all.
type Conditions struct {
	IfMatch     string `header:"If-Match" doc:"Only if the item has one of these entity tags, or * if it is written (RFC 9110 section 13.1.1)" example:"\"QDvlM9dDlhbVnBEXTZxG2w\""`
	IfNoneMatch string `header:"If-None-Match" doc:"Only if the item has none of these entity tags, or * if it is not written (RFC 9110 section 13.1.2)"`

	condition items.Condition
}

// Resolve parses all lines of the fields.
func (c *Conditions) Resolve(ctx huma.Context) []error {
	lines := map[string][]string{}
	ctx.EachHeader(func(name, value string) { lines[name] = append(lines[name], value) })
	var err error
	if c.condition.IfMatch, err = items.ParseTags(lines["If-Match"]); err != nil {
		return invalid("header.If-Match", err.Error())
	}
	if c.condition.IfNoneMatch, err = items.ParseTags(lines["If-None-Match"]); err != nil {
		return invalid("header.If-None-Match", err.Error())
	}
	return nil
}

// invalid returns the errors of Resolve for one wrong part of a request.
func invalid(location, message string) []error {
	return []error{&huma.ErrorDetail{Location: location, Message: message}}
}

// checkRead returns the response in place of an item with this tag, or nil (RFC 9110 section 13.2.2).
func (c *Conditions) checkRead(tag string) error {
	switch {
	case !c.condition.Matches(tag):
		return items.ErrCondition
	case !c.condition.NoneMatches(tag):
		return huma.ErrorWithHeaders(huma.Status304NotModified(), http.Header{"ETag": {`"` + tag + `"`}})
	}
	return nil
}

// onlyMergePatch is middleware that refuses bodies that are no merge patch, such as a JSON patch. Plain JSON is
// accepted (RFC 5789 section 2.2).
func onlyMergePatch(ctx huma.Context, next func(huma.Context)) {
	media, _, _ := mime.ParseMediaType(ctx.Header("Content-Type"))
	if media == mergePatchType || media == jsonType {
		next(ctx)
		return
	}
	_, w := humamux.Unwrap(ctx)
	w.Header().Set("Accept-Patch", mergePatchType)
	problem.Write(w, http.StatusUnsupportedMediaType, "The body must be "+mergePatchType)
}

// ItemPatch is a merge patch of an item (RFC 7396).
type ItemPatch struct {
	Title patchedText `json:"title,omitempty" nullable:"true" minLength:"1" maxLength:"200" doc:"New title; null is refused, because an item needs one"`
	Note  patchedText `json:"note,omitempty" nullable:"true" maxLength:"10000" doc:"New note; null removes it"`
}

// apply returns what the patch makes of an item.
func (p ItemPatch) apply(old *items.Item) (items.Draft, error) {
	var draft items.Draft
	if old != nil {
		draft = items.Draft{Title: old.Title, Note: old.Note}
	}
	p.Title.apply(&draft.Title)
	p.Note.apply(&draft.Note)
	return draft, draft.Check()
}

// patchedText is a text in a merge patch, which may be absent or null.
type patchedText struct {
	present bool
	text    string // empty for null
}

// UnmarshalJSON implements json.Unmarshaler. It is not called for an absent member.
func (p *patchedText) UnmarshalJSON(data []byte) error {
	p.present = true
	return json.Unmarshal(data, &p.text)
}

// Schema returns the schema of a text, for huma.
func (patchedText) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[string](), true, "")
}

func (p patchedText) apply(text *string) {
	if p.present {
		*text = p.text
	}
}

// cursor is the place in a list where a page begins.
type cursor string

// cursorOf returns the cursor of a position, or none for nil.
func cursorOf(p *items.Position) cursor {
	if p == nil {
		return ""
	}
	return cursor(base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Number, 10) + " " + p.Owner)))
}

// from returns the position of a cursor that Resolve has checked.
func (c cursor) from() items.Position {
	p, _ := c.position()
	return p
}

func (c cursor) position() (p items.Position, ok bool) {
	if c == "" {
		return items.Start, true
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err != nil {
		return p, false
	}
	number, owner, ok := strings.Cut(string(text), " ")
	p.Owner = owner
	p.Number, err = strconv.ParseInt(number, 10, 64)
	return p, ok && err == nil && storable(owner)
}

// storable reports whether PostgreSQL accepts a text.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// Resolve checks the cursor and the text.
func (in *ListInput) Resolve(huma.Context) []error {
	if _, ok := in.Cursor.position(); !ok {
		return invalid("query.cursor", "is not the next_cursor of a page")
	}
	if !storable(in.Title) {
		return invalid("query.title", "must not contain control characters")
	}
	return nil
}

// IdempotencyKey is the field of a request that may be sent twice (draft-ietf-httpapi-idempotency-key-header).
type IdempotencyKey struct {
	Header string `header:"Idempotency-Key" maxLength:"255" doc:"A string that no other request of the caller has. A request that is sent again with it gets the response of the first one, for 24 hours" example:"\"8e03978e-40d5-43dd-bc93-6894a57f9324\""`

	value string
}

// keySyntax matches a string of structured fields (RFC 9651 section 3.3.3) without escapes, and a string that is
// sent without quotes, as many clients do.
var keySyntax = regexp.MustCompile(`^(?:"([ !#-\[\]-~]{1,253})"|([!#-+\--:<-\[\]-~]{1,255}))$`)

// Resolve parses the field.
func (k *IdempotencyKey) Resolve(ctx huma.Context) []error {
	lines := 0
	ctx.EachHeader(func(name, _ string) {
		if name == "Idempotency-Key" {
			lines++
		}
	})
	found := keySyntax.FindStringSubmatch(k.Header)
	if lines > 1 || lines == 1 && found == nil {
		return invalid("header.Idempotency-Key",
			`must be one string of printable ASCII characters, such as "8e03978e-40d5-43dd-bc93-6894a57f9324"`)
	}
	if lines == 1 {
		k.value = found[1] + found[2] // one of them is empty
	}
	return nil
}

// key returns the key of a request for a new item, or none.
func (k *IdempotencyKey) key(d items.Draft) (items.Key, error) {
	if k.value == "" {
		return items.Key{}, nil
	}
	return items.NewKey(k.value, d)
}
