package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/gorilla/mux"

	"github.com/hallpass-auth/hallpass/shared/humaapi"
)

const (
	jsonType       = "application/json"
	mergePatchType = "application/merge-patch+json" // RFC 7396
)

// route is one line of the list of routes: an operation of the API.
type route struct {
	method  string
	path    string // a path template of gorilla/mux
	access  access
	summary string // for the docs page
	add     func(huma.API, huma.Operation)
}

// handler is the function of a route. It gets the caller from ctx with bearer.FromContext. Input and
// output are structs of huma: fields with a path, query or header tag, and Body. An error of huma, such as
// huma.Error404NotFound, is the response, as are the errors of asProblem; any other error is logged and becomes
// a 500.
type handler[I, O any] func(ctx context.Context, in *I) (*O, error)

// handle returns the add function of a route, which registers the operation with its handler. The options
// may change the operation's entry in the OpenAPI document, such as its DefaultStatus.
func handle[I, O any](h handler[I, O], options ...func(*huma.Operation)) func(huma.API, huma.Operation) {
	return func(api huma.API, op huma.Operation) {
		op.OperationID = huma.GenerateOperationID(op.Method, op.Path, new(O))
		security := op.Security
		for _, option := range options {
			option(&op)
		}
		op.Security = security // the document must describe what is enforced
		huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := h(ctx, in)
			if err != nil {
				return nil, asProblem(err)
			}
			return out, nil
		})
	}
}

// register adds the routes to the router, each behind the guard, and returns the OpenAPI document that
// describes them. The error names the first route whose line is incomplete.
func register(router *mux.Router, cfg Config, routes []route) (*huma.OpenAPI, error) {
	format := huma.Format{Marshal: marshalJSON, Unmarshal: unmarshalJSON}
	api := humamux.New(router, huma.Config{
		OpenAPI:      newDescription(cfg, scopesOf(routes)),
		Formats:      map[string]huma.Format{jsonType: format, "json": format}, // "json" is for types with +json
		Transformers: []huma.Transformer{humaapi.LogFailures(cfg.Log)},
	}, humamux.WithRouteCustomizer(func(op *huma.Operation, r *mux.Route) {
		allowed, _ := op.Metadata[accessKey].(access)
		r.Handler(humaapi.Named(op.Path, allowed.middleware(cfg.Guard)(r.GetHandler())))
		documentChallenges(op.Responses)
	}))
	for _, r := range routes {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("route %s %s: %w", r.method, r.path, err)
		}
		r.add(api, r.operation())
	}
	return api.OpenAPI(), nil
}

// scopesOf returns the scopes of routes and what they allow.
func scopesOf(routes []route) map[string]string {
	used := map[string]string{}
	for _, r := range routes {
		for _, scope := range r.access.scopes {
			used[scope] = scopes[scope]
		}
	}
	return used
}

// check returns an error if a line of the list is incomplete.
func (r route) check() error {
	if !r.access.declared() {
		return errors.New("it must be either byAnyone or name a scope")
	}
	for _, scope := range r.access.scopes {
		if scopes[scope] == "" {
			return fmt.Errorf("its scope %q is not described in scopes", scope)
		}
	}
	return nil
}

// operation returns the line as an operation of huma.
func (r route) operation() huma.Operation {
	op := huma.Operation{
		Method:   r.method,
		Path:     r.path,
		Summary:  r.summary,
		Tags:     []string{firstSegment(r.path)},
		Security: r.access.security(),
		Metadata: map[string]any{accessKey: r.access},
	}
	if !r.access.open {
		op.Errors = []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable,
		}
	}
	return op
}

// firstSegment returns the tag that groups the operations of a path on the docs page.
func firstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return segment
}

// marshalJSON writes v as JSON, without the escapes for HTML and the newline that json.Encoder adds.
func marshalJSON(w io.Writer, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimSuffix(body.Bytes(), []byte("\n")))
	return err
}

// unmarshalJSON reads v from JSON. Repeated names are errors.
func unmarshalJSON(data []byte, v any) error { return jsonv2.Unmarshal(data, v) }
