// Package server builds the resource API from its settings, for the program and for its tests.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/resourceserver/internal/items"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keymetrics"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/tracing"
)

// Settings are the settings of the resource API, for kong.
type Settings struct {
	HTTP    httpserver.Settings `embed:""`
	Keys    keyring.Settings    `embed:""`
	Traces  tracing.Settings    `embed:""`
	Items   Items               `embed:""`
	KeysURL string              `group:"Keys" env:"HALLPASS_KEYS_URL" placeholder:"URL" help:"JWK Set of the authorization server's public keys (its /jwks.json), instead of a shared secret, so that this server cannot sign tokens. It must be an https URL unless the host is this machine, because an attacker who replaces the keys can sign tokens."`

	Issuer         string `group:"Tokens" env:"HALLPASS_ISSUER" default:"http://127.0.0.1:9000" placeholder:"URL" help:"Authorization server whose tokens are accepted; exactly the same text as its HALLPASS_ISSUER (${default})."`
	Audience       string `group:"Tokens" env:"HALLPASS_AUDIENCE" default:"http://127.0.0.1:8000" placeholder:"URL" help:"Identifier of this API, which a token must name; preferably the URL that clients call (${default})."`
	StatusListsURL string `group:"Tokens" env:"HALLPASS_STATUS_LISTS_URL" placeholder:"URL" help:"Address of the authorization server's lists of revoked tokens, if this server reaches it at another address than clients do. By default ISSUER/status-lists. Lists are signed, so http:// is accepted within a private network."`
	PublicURL      string `group:"Tokens" env:"HALLPASS_PUBLIC_URL" placeholder:"URL" help:"URL at which clients call this API, if it is not the audience: DPoP proofs (RFC 9449) are made for it, and if it is an https URL, responses have Strict-Transport-Security."`
	RequireDPoP    bool   `name:"require-dpop" group:"Tokens" env:"HALLPASS_REQUIRE_DPOP" help:"Require DPoP (RFC 9449): refuse access tokens that are not bound to a key of the client."`
	NonceSecret    string `name:"dpop-nonce-secret" group:"Tokens" env:"HALLPASS_DPOP_NONCE_SECRET" secret:"" placeholder:"SECRET" help:"Secret of 32 bytes or more that all replicas of this API share, for the nonces in DPoP proofs. By default it is derived from the shared secret; with public keys alone no nonce is needed. Set it in the environment."`
	Docs           bool   `group:"Server" env:"HALLPASS_DOCS" default:"true" negatable:"" help:"Serve /docs, /redoc and /openapi.json (on by default)."`
}

// settingNames maps the fields of bearer.Config to the settings that they come from.
var settingNames = map[string]string{ //nolint:gosec // names
	"Issuer":   "--issuer (HALLPASS_ISSUER)",
	"Audience": "--audience (HALLPASS_AUDIENCE)",
	"Keys": "--keys-url (HALLPASS_KEYS_URL), --keys-file (HALLPASS_KEYS_FILE), " +
		"--token-secret (HALLPASS_TOKEN_SECRET)",
	"KeysURL":        "--keys-url (HALLPASS_KEYS_URL)",
	"KeysFile":       "--keys-file (HALLPASS_KEYS_FILE)",
	"TokenSecret":    "--token-secret (HALLPASS_TOKEN_SECRET)",
	"StatusListsURL": "--status-lists-url (HALLPASS_STATUS_LISTS_URL)",

	"PublicURL":       "--public-url (HALLPASS_PUBLIC_URL)",
	"RequireDPoP":     "--require-dpop (HALLPASS_REQUIRE_DPOP)",
	"DPoPNonceSecret": "--dpop-nonce-secret (HALLPASS_DPOP_NONCE_SECRET)",
}

// Server is the resource API.
type Server struct {
	*httpserver.Server
	items *items.Store // nil if no items are stored
}

// Run serves until ctx ends, like httpserver.Server.Run, and closes the database of items.
func (s *Server) Run(ctx context.Context) error {
	err := s.Server.Run(ctx)
	return errors.Join(err, closeItems(s.items))
}

// closeItems closes the database of items. store may be nil.
func closeItems(store *items.Store) error {
	if store == nil {
		return nil
	}
	return store.Close()
}

// New returns a server that is not listening yet, and that must Run. Its keys and status lists are kept fresh
// until ctx ends. Errors name the setting and never hold a secret.
func New(ctx context.Context, s Settings, log *slog.Logger) (*Server, error) {
	if err := s.HTTP.Validate(); err != nil {
		return nil, err
	}
	if err := s.Items.validate(); err != nil {
		return nil, err
	}
	traces, err := tracing.Open(ctx, s.Traces, tracing.Config{
		Service: "hallpass-resourceserver", Version: program.Version, Log: log,
	})
	if err != nil {
		return nil, err
	}
	guard, err := bearer.Open(ctx, bearer.Config{
		Issuer:         s.Issuer,
		Audience:       s.Audience,
		KeysURL:        s.KeysURL,
		KeysFile:       s.Keys.KeysFile,
		TokenSecret:    s.Keys.TokenSecret,
		StatusListsURL: s.StatusListsURL,
		ScopeIncludes:  api.ScopeIncludes,
		Transport:      traces.PollTransport(http.DefaultTransport),
		Log:            log,

		PublicURL:       s.PublicURL,
		RequireDPoP:     s.RequireDPoP,
		DPoPNonceSecret: s.NonceSecret,
	})
	if err != nil {
		return nil, nameSetting(err)
	}
	store, err := s.Items.open(ctx, traces, log)
	if err != nil {
		return nil, err
	}
	handler, err := api.New(api.Config{
		Guard:          guard,
		Version:        program.Version,
		Docs:           s.Docs,
		AllowedOrigins: s.HTTP.AllowedOrigins,
		Items:          store,
		Log:            log,
	})
	if err != nil {
		return nil, errors.Join(err, closeItems(store))
	}
	server := &httpserver.Server{
		Settings:  s.HTTP,
		Handler:   handler,
		Ready:     func(context.Context) error { return guard.Ready() },
		PublicURL: cmp.Or(s.PublicURL, s.Audience),
		Registry:  newRegistry(guard, store),
		Log:       log,
	}
	if traces != nil {
		server.Tracing = traces
	}
	return &Server{server, store}, nil
}

// newRegistry returns the metrics. store may be nil.
func newRegistry(guard *bearer.Guard, store *items.Store) *prometheus.Registry {
	registry := httpserver.NewRegistry(program.Version)
	registry.MustRegister(listMetrics(guard)...)
	registry.MustRegister(keymetrics.New(guard.Keys())...)
	if store != nil {
		registry.MustRegister(itemsMetric(store))
	}
	return registry
}

// nameSetting replaces the field in an error of bearer.Open with the name of the setting.
func nameSetting(err error) error {
	var wrong *bearer.ConfigError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", settingNames[wrong.Field], wrong.Err)
	}
	return err
}
