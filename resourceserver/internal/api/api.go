// Package api is the API that Hallpass protects: the current user, and items.
//
// It is an example to copy and extend. routes.go lists every operation on one line, with who may call
// it. A handler is a function from a context and typed input to typed output or an error. The same line
// enforces the access, and generates the OpenAPI document and the docs page.
package api

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
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
	// Log gets the errors that clients see as status 500; nil means slog.Default().
	Log *slog.Logger
}

// New returns the handler of the API, safe for concurrent use. The error says that cfg has no Guard or
// that a line of the routes is incomplete.
func New(cfg Config) (http.Handler, error) {
	return newHandler(cfg, routes)
}

// newHandler returns a handler with the routes.
func newHandler(cfg Config, routes []route) (http.Handler, error) {
	if cfg.Guard == nil {
		return nil, errors.New("api.Config.Guard is not set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	router := newRouter()
	description, err := register(router, cfg, routes)
	if err != nil {
		return nil, err
	}
	if err := addMetadata(router, cfg.Guard); err != nil {
		return nil, err
	}
	if cfg.Docs {
		if err := addDocs(router, description, cfg.Guard.Issuer()); err != nil {
			return nil, err
		}
	}
	return httpserver.CORS(cfg.AllowedOrigins, methods(routes)...)(headAsGet(router)), nil
}
