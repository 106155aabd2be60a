package adminapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hallpass-auth/hallpass/shared/humaapi"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

const jsonType = "application/json"

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// operation is one line of the list of operations.
type operation struct {
	method  string
	path    string // a template, below Path
	summary string // for the docs page
	add     func(huma.API, huma.Operation)
}

// handler is the method of an operation.
type handler[I, O any] func(ctx context.Context, in *I) (*O, error)

// handle returns the add function of an operation. The options change its entry in the OpenAPI document, such as its
// DefaultStatus.
func handle[I, O any](h handler[I, O], options ...func(*huma.Operation)) func(huma.API, huma.Operation) {
	return func(api huma.API, op huma.Operation) {
		for _, option := range options {
			option(&op)
		}
		huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := h(ctx, in)
			if err != nil {
				return nil, asProblem(err)
			}
			return out, nil
		})
	}
}

// creates marks an operation that responds with 201.
func creates(op *huma.Operation) { op.DefaultStatus = http.StatusCreated }

// describe returns the operation as the OpenAPI document has it.
func (o operation) describe() huma.Operation {
	segment, _, _ := strings.Cut(strings.TrimPrefix(o.path, "/"), "/")
	return huma.Operation{
		OperationID:  operationID(o.summary),
		Method:       o.method,
		Path:         Path + o.path,
		Summary:      o.summary,
		Tags:         []string{segment},
		Security:     []map[string][]string{{humaapi.SecurityScheme: {adminScope}}},
		MaxBodyBytes: maxBody,
		Errors:       []int{http.StatusUnauthorized, http.StatusForbidden},
	}
}

// operationID returns the id of an operation with a summary, such as end-a-session.
func operationID(summary string) string {
	return strings.ReplaceAll(strings.ToLower(summary), " ", "-")
}

// unmarshalJSON reads v from JSON. Repeated and unknown names are errors, and so are texts that no database stores.
func unmarshalJSON(data []byte, v any) error {
	tokens := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := tokens.ReadToken()
		if err != nil {
			return jsonv2.Unmarshal(data, v) // at the end, or with the better error
		}
		if token.Kind() == '"' && !record.IsText(token.String()) {
			return errNotText
		}
	}
}

// errNotText is the error for a text that no database stores.
var errNotText = errors.New("a text has the character NUL")

// None is the empty response of an operation: 204.
type None struct{}

// nothing returns the empty response, or err.
func nothing(err error) (*None, error) {
	if err != nil {
		return nil, err
	}
	return &None{}, nil
}

// unread logs that what a response shows besides a change cannot be read. The change is made, so the operation must not
// fail: its caller would repeat it.
func (a *API) unread(ctx context.Context, what string, err error) {
	a.cfg.Log.ErrorContext(ctx, "cannot read all of a change", "endpoint", "admin_api", "part", what, "error", err)
}

// location returns the URL of an entry of a collection.
func (a *API) location(collection, name string) string {
	return a.cfg.Issuer + Path + "/" + collection + "/" + url.PathEscape(name)
}

// optional returns a pointer to a time in whole seconds, as it is stored; nil for the zero time.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
