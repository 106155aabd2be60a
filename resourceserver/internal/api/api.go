// Package api is the API that Hallpass protects: the current user, and items.
//
// It exists as the example that a team copies and then grows: routes.go lists every
// route on a line of its own, with who may call it; a handler is a function that
// takes what the token says and typed input and returns a value or an error. What
// the line says is enforced, and the OpenAPI document and the docs page are made of
// it, so none of the three can drift from the others.
package api

import (
	"errors"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Config says whom the API believes and what else it shows.
type Config struct {
	// Verifier judges the access tokens; required. Its issuer is where the docs page
	// logs in, its audience is the identifier of this API.
	Verifier *token.Verifier
	// Version is what the OpenAPI document gives as the version of the API.
	Version string
	// Docs switches on /docs, /redoc and /openapi.json.
	Docs bool
	// AllowedOrigins are the origins of web pages whose scripts may call the API.
	AllowedOrigins []string
}

// New returns the handler of the API, safe for concurrent use. An error means that
// cfg lacks the verifier or that the list of routes is not complete.
func New(cfg Config) (http.Handler, error) {
	if cfg.Verifier == nil {
		return nil, errors.New("api.Config.Verifier is not set")
	}
	rt := newRouter()
	description, err := register(rt, cfg, routes)
	if err != nil {
		return nil, err
	}
	if err := addMetadata(rt, cfg.Verifier); err != nil {
		return nil, err
	}
	if cfg.Docs {
		if err := addDocs(rt, description, cfg.Verifier.Issuer()); err != nil {
			return nil, err
		}
	}
	return httpserver.CORS(cfg.AllowedOrigins, rt.methods()...)(rt), nil
}
