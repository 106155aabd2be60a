package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// route is one line of the list: an operation of the API.
type route struct {
	method  string
	path    string // a template of gorilla/mux
	access  access
	summary string // its line on the docs page
	add     func(*operations, huma.Operation) serve
}

// serve answers a request that the route's access lets through. Caller is what the
// token says, and nil in a route that anyone may call.
type serve func(w http.ResponseWriter, r *http.Request, caller *token.Claims)

// handler is what a route does: it takes what the token says and the input, and
// returns the output or an error. Input and output are structs as huma describes
// them: fields with a path, query or header tag, and Body. An error made by huma
// (huma.Error404NotFound) is the answer; any other is logged and answered with 500.
type handler[I, O any] func(ctx context.Context, caller *token.Claims, in *I) (*O, error)

// handle makes the last part of a route's line. Each of refine may add to what the
// OpenAPI document says of it, such as another DefaultStatus.
func handle[I, O any](h handler[I, O], refine ...func(*huma.Operation)) func(*operations, huma.Operation) serve {
	return func(ops *operations, op huma.Operation) serve {
		line := op
		op.OperationID = huma.GenerateOperationID(op.Method, op.Path, new(O))
		for _, f := range refine {
			f(&op)
		}
		op.Method, op.Path, op.Security = line.Method, line.Path, line.Security // these are what is enforced
		huma.Register(ops, op, func(ctx context.Context, in *I) (*O, error) {
			caller, _ := bearer.FromContext(ctx)
			out, err := h(ctx, caller, in)
			return out, statusError(ctx, err)
		})
		if isPlain[I, O]() && len(op.Middlewares) == 0 {
			return servePlain(h, ops.op.DefaultStatus)
		}
		return serveInput(ops.op, ops.handle)
	}
}

// serveInput answers by way of huma, which reads the input, checks it against its
// schema, calls the handler and writes what it returns.
func serveInput(op *huma.Operation, handle func(huma.Context)) serve {
	return func(w http.ResponseWriter, r *http.Request, caller *token.Claims) {
		ctx := humamux.NewContext(op, r, w)
		if caller != nil {
			ctx = huma.WithContext(ctx, bearer.NewContext(r.Context(), caller))
		}
		handle(ctx)
	}
}

// isPlain reports whether an operation has no input, and no output but a struct as
// its body.
func isPlain[I, O any]() bool {
	out := reflect.TypeFor[O]()
	if reflect.TypeFor[I]() != reflect.TypeFor[struct{}]() || out.NumField() != 1 {
		return false
	}
	body := out.Field(0)
	return body.Name == "Body" && body.Type.Kind() == reflect.Struct
}

// servePlain answers as serveInput does for an operation that isPlain. With nothing
// to read or check, the way through huma would cost more than all else that the
// request needs.
func servePlain[I, O any](h handler[I, O], status int) serve {
	return func(w http.ResponseWriter, r *http.Request, caller *token.Claims) {
		var in I
		out, err := h(r.Context(), caller, &in)
		switch {
		case err != nil:
			writeError(r.Context(), w, err)
		case out == nil:
			w.WriteHeader(status)
		default:
			body := reflect.ValueOf(out).Elem().Field(0).Addr().Interface()
			if err := writeJSON(w, status, body); err != nil {
				writeError(r.Context(), w, err)
			}
		}
	}
}

// register adds the routes to rt and returns the OpenAPI document that describes
// them. The error names the first route whose line is not complete.
func register(rt *router, cfg Config, routes []route) (*huma.OpenAPI, error) {
	ops := newOperations(newDescription(cfg))
	for _, r := range routes {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("route %s %s: %w", r.method, r.path, err)
		}
		serve := r.add(ops, r.operation())
		documentChallenges(ops.op.Responses)
		rt.operation(r.method, r.path, r.access.guard(cfg.Verifier, serve))
	}
	return ops.OpenAPI(), nil
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
func (r route) operation() huma.Operation {
	op := huma.Operation{
		Method:   r.method,
		Path:     r.path,
		Summary:  r.summary,
		Tags:     []string{firstSegment(r.path)},
		Security: r.access.security(),
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

// operations is huma as the API uses it. Huma describes the operations and reads
// their input, but requests reach an operation through our router and our guard, so
// what huma would serve is only noted. And there is one format, JSON: whatever
// Accept says.
type operations struct {
	huma.API
	op     *huma.Operation    // the operation registered last
	handle func(huma.Context) // what huma does for its requests
}

func newOperations(description *huma.OpenAPI) *operations {
	ops := &operations{}
	ops.API = huma.NewAPI(huma.Config{OpenAPI: description, Formats: huma.DefaultFormats}, ops)
	return ops
}

// Handle notes an operation. It makes operations a huma.Adapter, as does ServeHTTP.
func (ops *operations) Handle(op *huma.Operation, handle func(huma.Context)) {
	ops.op, ops.handle = op, handle
}

// ServeHTTP is for programs that let huma route; nobody calls it.
func (ops *operations) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// Negotiate chooses JSON.
func (ops *operations) Negotiate(string) (string, error) { return jsonType, nil }
