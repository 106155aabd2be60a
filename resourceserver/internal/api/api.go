// Package api is the API that Hallpass protects: the current user, and items.
//
// It is an example to copy and extend. routes.go has one line for each operation, which says who may call
// it. A handler is a function from a context and typed input to typed output or an error. The API enforces
// the access that the line names, and generates the OpenAPI document and the docs page from it.
package api

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/humaapi"
	"github.com/hallpass-auth/hallpass/shared/publicdoc"
)

// Config configures the API.
type Config struct {
	// Guard checks the access tokens; required. The docs page logs in at its issuer, and its audience
	// is the identifier of this API.
	Guard *bearer.Guard
	// Version is the version of the API in the OpenAPI document.
	Version string
	// Docs enables /docs, /redoc and /openapi.json.
	Docs bool
	// AllowedOrigins are the origins of web pages whose scripts may call the API.
	AllowedOrigins []string
	// Items are stored items; nil for an API that stores none, where every item can be read and is empty.
	Items *items.Store
	// Log gets the errors that clients see as status 500; nil means slog.Default().
	Log *slog.Logger
}

// New returns the handler of the API, safe for concurrent use. The error says that cfg has no Guard or
// that a line of the routes is incomplete.
func New(cfg Config) (http.Handler, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	handlers := &itemHandlers{store: cfg.Items, now: time.Now, log: cfg.Log}
	list := routes(handlers)
	if cfg.Items != nil {
		list = append(list, storedRoutes(handlers)...)
	}
	return newHandler(cfg, list)
}

// newHandler returns a handler with the routes.
func newHandler(cfg Config, routes []route) (http.Handler, error) {
	if cfg.Guard == nil {
		return nil, errors.New("api.Config.Guard is not set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	router := humaapi.NewRouter()
	description, err := register(router, cfg, routes)
	if err != nil {
		return nil, err
	}
	public := []string{openAPIPath}
	cfg.Guard.ServeMetadata(func(path string, h http.Handler) {
		humaapi.AddPage(router, path, h)
		public = append(public, path)
	}, slices.Collect(maps.Keys(scopesOf(routes)))...)
	if cfg.Docs {
		if err := addDocs(router, description, cfg.Guard.Issuer()); err != nil {
			return nil, err
		}
	}
	return crossOrigin(humaapi.HeadAsGet(router), cfg.AllowedOrigins, public), nil
}

// crossOrigin lets scripts of the origins call the API, and scripts of every origin read the documents at the
// public paths. All methods are allowed, so that a script can read a 405.
func crossOrigin(next http.Handler, origins, public []string) http.Handler {
	someOrigins := httpserver.CORS(origins, append(humaapi.Methods(), http.MethodHead)...)(next)
	anyOrigin := publicdoc.AnyOrigin(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(public, r.URL.Path) {
			anyOrigin.ServeHTTP(w, r)
			return
		}
		someOrigins.ServeHTTP(w, r)
	})
}
