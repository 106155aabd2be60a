// Package server builds the resource API from its settings, for the program and for its tests.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keymetrics"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
)

// Settings are the settings of the resource API, for kong.
type Settings struct {
	HTTP    httpserver.Settings `embed:""`
	Keys    keyring.Settings    `embed:""`
	KeysURL string              `group:"Keys" env:"HALLPASS_KEYS_URL" placeholder:"URL" help:"JWK Set of the authorization server's public keys (its /jwks.json), instead of a shared secret, so that this server cannot sign tokens. It must be an https URL unless the host is this machine, because an attacker who replaces the keys can sign tokens."`

	Issuer         string `group:"Tokens" env:"HALLPASS_ISSUER" default:"http://127.0.0.1:9000" placeholder:"URL" help:"Authorization server whose tokens are accepted; exactly the same text as its HALLPASS_ISSUER (${default})."`
	Audience       string `group:"Tokens" env:"HALLPASS_AUDIENCE" default:"http://127.0.0.1:8000" placeholder:"URL" help:"Identifier of this API, which a token must name; preferably the URL that clients call (${default})."`
	StatusListsURL string `group:"Tokens" env:"HALLPASS_STATUS_LISTS_URL" placeholder:"URL" help:"Address of the authorization server's lists of revoked tokens, if this server reaches it at another address than clients do. By default ISSUER/status-lists. Lists are signed, so http:// is accepted within a private network."`
	Docs           bool   `group:"Server" env:"HALLPASS_DOCS" default:"true" negatable:"" help:"Serve /docs, /redoc and /openapi.json (on by default)."`
}

// settingNames maps the fields of bearer.Config to the settings that they come from.
var settingNames = map[string]string{
	"Issuer":   "--issuer (HALLPASS_ISSUER)",
	"Audience": "--audience (HALLPASS_AUDIENCE)",
	"Keys": "--keys-url (HALLPASS_KEYS_URL), --keys-file (HALLPASS_KEYS_FILE), " +
		"--token-secret (HALLPASS_TOKEN_SECRET)",
	"KeysURL":        "--keys-url (HALLPASS_KEYS_URL)",
	"KeysFile":       "--keys-file (HALLPASS_KEYS_FILE)",
	"TokenSecret":    "--token-secret (HALLPASS_TOKEN_SECRET)",
	"StatusListsURL": "--status-lists-url (HALLPASS_STATUS_LISTS_URL)",
}

// New returns a server that is not listening yet. Its keys and status lists are kept fresh until ctx ends.
// Errors name the setting and never hold a secret.
func New(ctx context.Context, s Settings, log *slog.Logger) (*httpserver.Server, error) {
	if err := s.HTTP.Validate(); err != nil {
		return nil, err
	}
	guard, err := bearer.Open(ctx, bearer.Config{
		Issuer:         s.Issuer,
		Audience:       s.Audience,
		KeysURL:        s.KeysURL,
		KeysFile:       s.Keys.KeysFile,
		TokenSecret:    s.Keys.TokenSecret,
		StatusListsURL: s.StatusListsURL,
		Log:            log,
	})
	if err != nil {
		return nil, nameSetting(err)
	}
	handler, err := api.New(api.Config{
		Guard:          guard,
		Version:        program.Version,
		Docs:           s.Docs,
		AllowedOrigins: s.HTTP.AllowedOrigins,
		Log:            log,
	})
	if err != nil {
		return nil, err
	}
	registry := httpserver.NewRegistry(program.Version)
	registry.MustRegister(listMetrics(guard)...)
	registry.MustRegister(keymetrics.New(guard.Keys())...)
	return &httpserver.Server{
		Settings:  s.HTTP,
		Handler:   handler,
		Ready:     func(context.Context) error { return guard.Ready() },
		PublicURL: s.Audience,
		Registry:  registry,
		Log:       log,
	}, nil
}

// nameSetting replaces the field in an error of bearer.Open with the name of the setting.
func nameSetting(err error) error {
	var wrong *bearer.ConfigError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%s: %w", settingNames[wrong.Field], wrong.Err)
	}
	return err
}

// listMetrics returns metrics that show how current the API's status lists are.
func listMetrics(guard *bearer.Guard) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_lists",
			Help: "Status lists that are kept up to date.",
		}, func() float64 { return float64(guard.Stats().Lists) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_list_age_seconds",
			Help: "Age of the stalest status list: seconds since it was last fetched or found unchanged; " +
				"later revocations may be unknown.",
		}, func() float64 { return guard.Stats().Oldest.Seconds() }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_status_list_failures_total",
			Help: "Failed fetches of status lists.",
		}, func() float64 { return float64(guard.Stats().Failures) }),
	}
}
