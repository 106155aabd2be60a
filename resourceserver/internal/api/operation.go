package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const jsonType = "application/json"

// route is one line of the list: an operation of the API.
type route struct {
	method  string
	path    string // a template of gorilla/mux
	access  access
	summary string // its line on the docs page
	add     func(huma.API, huma.Operation)
}

// handle makes the last part of a route's line from a handler. The handler's input
// and output are structs as huma describes them: fields with a path, query or
// header tag, and Body. Caller is what the token says; it is nil in a route that
// anyone may call. An error made by huma (huma.Error404NotFound) is the answer; any
// other is logged and answered with 500. Each of refine may add to what the OpenAPI
// document says, such as another DefaultStatus.
func handle[I, O any](h func(ctx context.Context, caller *token.Claims, in *I) (*O, error), refine ...func(*huma.Operation)) func(huma.API, huma.Operation) {
	return func(api huma.API, op huma.Operation) {
		op.OperationID = huma.GenerateOperationID(op.Method, op.Path, new(O))
		for _, f := range refine {
			f(&op)
		}
		huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
			caller, _ := bearer.FromContext(ctx)
			return h(ctx, caller, in)
		})
	}
}

// register adds the routes to rt and returns the OpenAPI document that describes
// them. The error names the first route whose line is not complete.
func register(rt *router, cfg Config, routes []route) (*huma.OpenAPI, error) {
	description := newDescription(cfg)
	api := jsonAPI{huma.NewAPI(huma.Config{OpenAPI: description, Formats: huma.DefaultFormats}, rt)}
	for _, r := range routes {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("route %s %s: %w", r.method, r.path, err)
		}
		op := r.operation(cfg.Verifier)
		r.add(api, op)
		documentChallenges(op.Responses)
	}
	return description, nil
}

// check reports what a line of the list lacks.
func (r route) check() error {
	if !r.access.declared() {
		return fmt.Errorf("it must be either byAnyone or name a scope")
	}
	for _, scope := range r.access.scopes {
		if scopes[scope] == "" {
			return fmt.Errorf("its scope %q is not described in scopes", scope)
		}
	}
	return nil
}

// operation returns what the line says in huma's words.
func (r route) operation(v *token.Verifier) huma.Operation {
	op := huma.Operation{
		Method:      r.method,
		Path:        r.path,
		Summary:     r.summary,
		Tags:        []string{firstSegment(r.path)},
		Security:    r.access.security(),
		Middlewares: r.access.guard(v),
		Responses:   map[string]*huma.Response{},
	}
	if !r.access.open {
		op.Errors = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}
	}
	return op
}

// firstSegment groups the operations on the docs page.
func firstSegment(path string) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return segment
}

// jsonAPI is huma with one format, JSON: there is nothing to negotiate, so whatever
// Accept says the answer is JSON, without a line break at its end.
type jsonAPI struct{ huma.API }

func (jsonAPI) Negotiate(string) (string, error) { return jsonType, nil }

func (jsonAPI) Marshal(w io.Writer, _ string, v any) error {
	e := encoders.Get().(*encoder)
	e.Reset()
	if err := e.json.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(bytes.TrimSuffix(e.Bytes(), []byte("\n"))) // the client is gone if this fails
	encoders.Put(e)
	return nil
}

// encoder is a JSON encoder and the buffer it writes to. The whole body is written
// at once, so that net/http can set its Content-Length.
type encoder struct {
	bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(e)
	e.json.SetEscapeHTML(false)
	return e
}}
