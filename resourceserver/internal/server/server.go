// Package server turns settings into a running resource API.
//
// It exists so that a test starts the very server that the program runs, and so
// that every wrong setting is found before the first request, with an error that
// names it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/api"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// Settings are those of the resource API. The tags are read by kong.
type Settings struct {
	HTTP    httpserver.Settings `embed:""`
	Keys    keyring.Settings    `embed:""`
	KeysURL string              `group:"Keys" env:"HALLPASS_KEYS_URL" placeholder:"URL" help:"JWK Set of the authorization server's public keys (its /jwks.json), in place of a shared secret: then nothing that this server has could sign a token."`

	Issuer         string `group:"Tokens" env:"HALLPASS_ISSUER" default:"http://127.0.0.1:9000" placeholder:"URL" help:"Authorization server whose tokens are accepted; written exactly as there (${default})."`
	Audience       string `group:"Tokens" env:"HALLPASS_AUDIENCE" default:"http://127.0.0.1:8000" placeholder:"URL" help:"Identifier of this API, which a token must name; best the URL that clients call it by (${default})."`
	StatusListsURL string `group:"Tokens" env:"HALLPASS_STATUS_LISTS_URL" placeholder:"URL" help:"Where the authorization server's lists of revoked tokens are, if this server reaches it by another address than everybody else. By default ISSUER/status-lists."`
	Docs           bool   `group:"Server" env:"HALLPASS_DOCS" default:"true" negatable:"" help:"Serve /docs, /redoc and /openapi.json (on by default)."`
}

// Validate checks what kong cannot; the error names the setting.
func (s *Settings) Validate() error {
	if err := s.HTTP.Validate(); err != nil {
		return err
	}
	if err := oauth.ValidateIssuer(s.Issuer); err != nil {
		return fmt.Errorf("--issuer (HALLPASS_ISSUER): %w", err)
	}
	if err := validateAudience(s.Audience); err != nil {
		return fmt.Errorf("--audience (HALLPASS_AUDIENCE): %w", err)
	}
	return nil
}

// validateAudience accepts what the authorization server does, but a URL must also be one
// that metadata can be published for (RFC 9728 §1.2).
func validateAudience(audience string) error {
	if err := oauth.ValidateAudience(audience); err != nil {
		return err
	}
	if u, err := url.Parse(audience); err != nil || ((u.Scheme == "http" || u.Scheme == "https") && (u.RawQuery != "" || u.ForceQuery)) {
		return errors.New("a URL must have no query (RFC 9728 section 1.2)")
	}
	return nil
}

// New returns the server that the settings describe, not yet listening. A keys file
// and status lists are followed until ctx ends. Errors name the setting and never hold a secret.
func New(ctx context.Context, s Settings, log *slog.Logger) (*httpserver.Server, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	keys, err := s.openKeys(ctx, log)
	if err != nil {
		return nil, err
	}
	lists, err := statuslist.Open(ctx, statuslist.Config{Keys: keys, Issuer: s.Issuer, Audience: s.Audience, URL: s.StatusListsURL, Log: log})
	if err != nil {
		return nil, fmt.Errorf("--status-lists-url (HALLPASS_STATUS_LISTS_URL): %w", err)
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: keys, Issuer: s.Issuer, Audience: s.Audience, Revocations: lists})
	if err != nil {
		return nil, err
	}
	handler, err := api.New(api.Config{
		Verifier:       verifier,
		Version:        program.Version,
		Docs:           s.Docs,
		AllowedOrigins: s.HTTP.AllowedOrigins,
	})
	if err != nil {
		return nil, err
	}
	registry := httpserver.NewRegistry(program.Version)
	registry.MustRegister(listMetrics(lists)...)
	return &httpserver.Server{
		Settings: s.HTTP,
		Handler:  handler,
		Ready:    ready(keys),
		Registry: registry,
		Log:      log,
	}, nil
}

// openKeys opens the one source of keys that is set.
func (s *Settings) openKeys(ctx context.Context, log *slog.Logger) (keyring.Source, error) {
	if s.KeysURL == "" {
		return s.Keys.Open(ctx, log, s.noneOfAnother, func(ring *keyring.Ring) error {
			warnOfPrivateKeys(ctx, ring, log)
			return nil
		})
	}
	if s.Keys != (keyring.Settings{}) {
		return nil, errors.New("--keys-url (HALLPASS_KEYS_URL) is set beside --keys-file (HALLPASS_KEYS_FILE) or --token-secret (HALLPASS_TOKEN_SECRET): set one of them")
	}
	keys, err := keyring.NewURL(s.KeysURL, log)
	if err != nil {
		return nil, fmt.Errorf("--keys-url (HALLPASS_KEYS_URL): %w", err)
	}
	go keys.Follow(ctx)
	return keys, nil
}

// noneOfAnother refuses keys with which this API could sign tokens for another one. It
// judges a file whenever that is read: taken over by a server that runs, such keys would
// only stop its next start.
func (s *Settings) noneOfAnother(ring *keyring.Ring) error {
	if other, ok := ring.TiedElsewhere(s.Audience); ok {
		return fmt.Errorf("it holds the secret of another API, %s, which this one must not have: 'authserver key export' makes a file without it", other)
	}
	return nil
}

// warnOfPrivateKeys says when this API could sign where it needs the public half alone. Its
// file may be that of the authorization server, on one machine, so it is no error.
func warnOfPrivateKeys(ctx context.Context, ring *keyring.Ring, log *slog.Logger) {
	for _, key := range ring.Keys() {
		if key.Algorithm != keyring.HS256 && key.SigningKey() != nil {
			log.WarnContext(ctx, "the keys file has a private key, with which whoever breaks into this API can make tokens: 'authserver key export' makes a file without it, and --keys-url (HALLPASS_KEYS_URL) needs none", "kid", key.ID)
		}
	}
}

// ready tells whether tokens can be judged. It does not ask how fresh the status lists are:
// in an outage of the authorization server all replicas would be taken out at once, with
// all that needs no token and all tokens that need no list.
func ready(keys keyring.Source) func(context.Context) error {
	return func(context.Context) error {
		if ring := keys.Current(); ring == nil || ring.Len() == 0 {
			return errors.New("there are no keys to verify tokens with")
		}
		return nil
	}
}

// listMetrics tell how fresh is what is known of revocations.
func listMetrics(lists *statuslist.Client) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_lists",
			Help: "Status lists that are kept fresh.",
		}, func() float64 { return float64(lists.Stats().Lists) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_status_list_age_seconds",
			Help: "Age of the status list that has gone longest without confirmation, or since it was first asked for if it never had one; revocations since then may not be known.",
		}, func() float64 { return lists.Stats().Oldest.Seconds() }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "hallpass_status_list_failures_total",
			Help: "Tries to fetch a status list that failed.",
		}, func() float64 { return float64(lists.Stats().Failures) }),
	}
}
