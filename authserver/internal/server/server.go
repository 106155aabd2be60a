package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keymetrics"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Run serves until ctx ends. It returns an error for settings that cannot work, waits for a
// database server that does not respond, and migrates the database before it is ready. The
// version is shown in the metrics.
func Run(ctx context.Context, s Settings, version string, log *slog.Logger) (err error) {
	keys, err := s.Keys.Open(ctx, log)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	hasher, err := account.NewHasher(s.BcryptCost)
	if err != nil {
		return err
	}
	warnOfPlainHTTP(ctx, s.Issuer, log)
	var data *store.Store
	defer func() {
		if data != nil {
			err = errors.Join(err, data.Close())
		}
	}()
	database := databaseCheck()
	registry := httpserver.NewRegistry(version)
	registry.MustRegister(keymetrics.New(keys)...)
	return (&httpserver.Server{
		Settings: s.HTTP,
		Prepare: func(ctx context.Context) (http.Handler, error) {
			opened, err := waitForStore(ctx, s.Database, log)
			if err != nil {
				return nil, err
			}
			data = opened
			if err := setDefaultAPI(ctx, data, s.Audience, log); err != nil {
				return nil, err
			}
			if err := s.checkClients(ctx, data, hasher, log); err != nil {
				return nil, err
			}
			warnOfTwins(ctx, data, log)
			logNewAdminEvents(ctx, data, log)
			go logAdminEvents(ctx, data, log)
			login, err := newLogin(ctx, s, data, hasher, log)
			if err != nil {
				return nil, err
			}
			return handler(s, keys, data, login, registry, log)
		},
		Ready: func(ctx context.Context) error {
			health, _ := keyring.HealthOf(keys)
			return errors.Join(health.Check(time.Now()), database(ctx, data))
		},
		PublicURL: s.Issuer,
		Registry:  registry,
		Log:       log,
	}).Run(ctx)
}

// checkClients makes the users and the client of the demo if asked to, and checks the default
// client.
func (s *Settings) checkClients(ctx context.Context, data *store.Store, hasher *account.Hasher,
	log *slog.Logger) error {
	if err := prepareDemo(ctx, s.demoOn(), data, hasher, time.Now(), log); err != nil {
		return fmt.Errorf("--demo (HALLPASS_DEMO): %w", err)
	}
	if s.demoOn() && s.DefaultClient == "" {
		// The client demo may be deleted or changed: then there is no default client.
		err := checkDefaultClient(ctx, data, demoClient)
		switch {
		case err == nil:
			s.DefaultClient = demoClient
		case errors.Is(err, store.ErrUnavailable):
			return err
		default:
			log.InfoContext(ctx, "demo: a request that names no client is refused, since the client demo is not as it was made",
				"reason", err)
		}
	}
	if err := checkDefaultClient(ctx, data, s.DefaultClient); err != nil {
		return program.WithCode(program.ExitUsage, fmt.Errorf("--default-client (HALLPASS_DEFAULT_CLIENT): %w", err))
	}
	return warnOfWeakClients(ctx, data, log)
}

// warnOfWeakClients logs the clients that see their users' passwords, and those that may leave
// out PKCE.
func warnOfWeakClients(ctx context.Context, data *store.Store, log *slog.Logger) error {
	clients, err := data.Clients(ctx)
	if err != nil {
		return err
	}
	for _, c := range clients {
		if c.Allows(oauth.GrantPassword) {
			log.WarnContext(ctx, "a client may use the password grant, and sees its users' passwords (RFC 9700 section 2.4)",
				"client", c.ID)
		}
		if c.WithoutPKCE {
			log.WarnContext(ctx, "a client may leave out PKCE, which protects its codes (RFC 9700 section 2.1.1)",
				"client", c.ID)
		}
	}
	return nil
}

// setDefaultAPI registers the API of the settings as the default one, and warns if another
// was the default until now.
func setDefaultAPI(ctx context.Context, data *store.Store, audience string, log *slog.Logger) error {
	before, err := data.SetDefaultAPI(ctx, audience, time.Now())
	if err == nil && before != "" && before != audience {
		log.WarnContext(ctx, "--audience (HALLPASS_AUDIENCE) has changed: logins for the previous default API go on "+
			"with tokens for the new one; the previous one stays registered until 'authserver api delete'",
			"audience", audience, "previous", before)
	}
	return err
}

// handler returns the handler of the public listener.
func handler(
	s Settings,
	keys keyring.Source,
	data *store.Store,
	login *account.Login,
	registry *prometheus.Registry,
	log *slog.Logger,
) (http.Handler, error) {
	registry.MustRegister(gateMetrics(login.Gate)...)
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: keys, Issuer: s.Issuer, Audience: s.Audience})
	if err != nil {
		return nil, err
	}
	tokens, err := tokenService(s, keys, data, login, log)
	if err != nil {
		return nil, err
	}
	lists := grant.Lists{Issuer: s.Issuer, Default: s.Audience}
	return web.New(web.Config{
		IssuerURL:      s.Issuer,
		DefaultClient:  s.DefaultClient,
		AllowedOrigins: s.HTTP.AllowedOrigins,
		Clients:        data,
		Passwords:      login,
		Sessions:       data,
		Scopes:         data,
		Tokens:         tokens,
		Revocations: revocation.NewProvider(revocation.Config{
			Lifetime: s.AccessTokenLifetime,
			Lists:    lists,
			Grants:   data,
			APIs:     data,
			Signer:   &token.Signer{Keys: keys, Audience: s.Audience},
			Now:      time.Now,
			Log:      log,
		}),
		Lists:    lists,
		Verifier: verifier,
		Keys:     keys,
		Now:      time.Now,
		Log:      log,
		Registry: registry,
	}), nil
}

// tokenService returns what issues, inspects and revokes tokens. It accepts its tokens for any
// API.
func tokenService(
	s Settings,
	keys keyring.Source,
	data *store.Store,
	login *account.Login,
	log *slog.Logger,
) (*issuing.Service, error) {
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys: keys, Issuer: s.Issuer, Audience: s.Audience, InsecureAnyAudience: true,
	})
	if err != nil {
		return nil, err
	}
	return issuing.New(issuing.Config{
		Issuer:          s.Issuer,
		Audience:        s.Audience,
		Lifetime:        s.AccessTokenLifetime,
		RefreshIdle:     s.RefreshIdle,
		RefreshLifetime: s.RefreshLifetime,
		RefreshGrace:    s.RefreshGrace,
		Store:           data,
		Passwords:       login,
		Signer:          &token.Signer{Keys: keys, Audience: s.Audience},
		Verifier:        verifier,
		Now:             time.Now,
		Random:          rand.Reader,
		Log:             log,
	}), nil
}

// checkDefaultClient returns an error unless the client can log users in without a secret.
func checkDefaultClient(ctx context.Context, data *store.Store, id string) error {
	if id == "" {
		return nil
	}
	c, err := data.ClientByID(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w; 'authserver client add %s --public --grant password --scope ...' makes it", id, err, id)
	case !c.Public():
		return fmt.Errorf("%s has a secret: a request that names no client cannot prove that it is this one", id)
	case !c.Allows(oauth.GrantPassword):
		return fmt.Errorf("%s may not use the password grant", id)
	}
	return nil
}

// warnOfPlainHTTP warns if tokens and passwords would cross a network unencrypted.
func warnOfPlainHTTP(ctx context.Context, issuer string, log *slog.Logger) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme == "https" {
		return
	}
	if h := u.Hostname(); h != "localhost" && h != "127.0.0.1" && h != "::1" {
		log.WarnContext(ctx, "--issuer (HALLPASS_ISSUER) is plain http on a network: "+
			"passwords and tokens can be read on the way", "issuer", issuer)
	}
}

func gateMetrics(gate *account.Gate) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_password_checks_running",
			Help: "Passwords being checked right now.",
		}, func() float64 { return float64(gate.Running()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "hallpass_password_checks_waiting",
			Help: "Logins waiting for their password to be checked.",
		}, func() float64 { return float64(gate.Waiting()) }),
	}
}
