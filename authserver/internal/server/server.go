package server

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keymetrics"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/token"
	"github.com/hallpass-auth/hallpass/shared/tracing"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Run serves until ctx ends. It returns an error for settings that cannot work, waits for a
// database server that does not respond, and migrates the database before it is ready. The
// version is shown in the metrics.
func Run(ctx context.Context, s Settings, version string, log *slog.Logger) (err error) {
	s.setClock()
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
	background := NewBackground(ctx, log)
	defer func() {
		background.Stop()
		if data != nil {
			err = errors.Join(err, data.Close())
		}
	}()
	traces, err := s.openTraces(ctx, version, log)
	if err != nil {
		return program.WithCode(program.ExitUsage, err)
	}
	database := databaseCheck()
	registry := httpserver.NewRegistry(version)
	registry.MustRegister(keymetrics.New(keys)...)
	server := &httpserver.Server{
		Settings: s.HTTP,
		Prepare: func(ctx context.Context) (http.Handler, error) {
			opened, err := waitForStore(ctx, s.Database, log)
			if err != nil {
				return nil, err
			}
			data = opened
			if err := s.useReplica(data, background, log); err != nil {
				return nil, err
			}
			return Handler(ctx, s, Parts{
				Keys:       keys,
				Data:       data,
				Hasher:     hasher,
				Background: background,
				Traces:     traces,
				Registry:   registry,
				Log:        log,
			})
		},
		Ready: func(ctx context.Context) error {
			health, _ := keyring.HealthOf(keys)
			return errors.Join(health.Check(s.Now()), database(ctx, data))
		},
		AdminPages: s.adminPages(func() *store.Store { return data }),
		PublicURL:  s.Issuer,
		Registry:   registry,
		Log:        log,
	}
	if traces != nil {
		server.Tracing = traces
	}
	return server.Run(ctx)
}

// Parts are what the handler of a server needs besides its settings. All but Traces are required.
type Parts struct {
	// Keys sign and verify tokens.
	Keys keyring.Source
	// Data is an open database with the schema of this version.
	Data *store.Store
	// Hasher hashes passwords. The cost in the settings is not used.
	Hasher *account.Hasher
	// Background runs the work beside the requests. The caller stops it before it closes Data.
	Background *Background
	// Traces traces outgoing requests; nil means that none are traced.
	Traces *tracing.Tracer
	// Registry gets the metrics.
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Handler prepares the database for the settings and returns the handler of the public listener. It starts the
// background work, some of which may be running if it returns an error.
func Handler(ctx context.Context, s Settings, p Parts) (http.Handler, error) {
	s.setClock()
	if err := setDefaultAPI(ctx, p.Data, s.Audience, s.Now(), p.Log); err != nil {
		return nil, err
	}
	if err := s.Admin.prepare(ctx, p.Data, s.Issuer, s.Now(), p.Log); err != nil {
		return nil, err
	}
	if err := s.prepareClients(ctx, p.Data, p.Hasher, p.Log); err != nil {
		return nil, err
	}
	warnOfTwins(ctx, p.Data, p.Log)
	p.Background.run(func(ctx context.Context) { logAdminEvents(ctx, p.Data, p.Log) })
	p.Background.run(func(ctx context.Context) { forget(ctx, p.Data, s.Now, p.Log) })
	login, err := newLogin(ctx, s, p.Data, p.Hasher, p.Log)
	if err != nil {
		return nil, err
	}
	login.Failures = s.Audit.start(p, s.Now)
	return handler(ctx, s, p, login)
}

// setClock makes time.Now the clock if there is no other.
func (s *Settings) setClock() {
	if s.Now == nil {
		s.Now = time.Now
	}
}

// setDefaultAPI registers the API of the settings as the default one, and warns if another
// was the default until now.
func setDefaultAPI(ctx context.Context, data *store.Store, audience string, now time.Time, log *slog.Logger) error {
	before, err := data.SetDefaultAPI(ctx, audience, now)
	if err == nil && before != "" && before != audience {
		log.WarnContext(ctx, "--audience (HALLPASS_AUDIENCE) has changed: logins for the previous default API continue "+
			"with tokens for the new one; the previous one stays registered until 'authserver api delete'",
			"audience", audience, "previous", before)
	}
	return err
}

// handler returns the handler of the public listener, and starts the background work that it needs.
func handler(ctx context.Context, s Settings, p Parts, login *account.Login) (http.Handler, error) {
	observeLogins(p.Registry, login)
	observeStore(p.Registry, p.Data)
	verifier, err := newVerifier(s, p.Keys)
	if err != nil {
		return nil, err
	}
	tokens, err := tokenService(s, p, login)
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(s, p.Traces, p.Log)
	if err != nil {
		return nil, err
	}
	lists := grant.Lists{Issuer: s.Issuer, Default: s.Audience}
	cfg := web.Config{
		SecondFactors:  newSecondFactors(s, p, login),
		IssuerURL:      s.Issuer,
		DefaultClient:  s.DefaultClient,
		AllowedOrigins: s.HTTP.AllowedOrigins,
		Passwords:      login,
		Accounts:       &account.Service{Store: p.Data, Login: login, Now: s.Now, Log: p.Log},
		Store:          p.Data,
		Tokens:         tokens,
		Revocations:    revocations(s, p, lists),
		Assertions:     assertions(s, guard, p.Data),
		Lists:          lists,
		Verifier:       verifier,
		Keys:           p.Keys,
		Registry:       p.Registry,
		Failures:       login.Failures,
		Now:            s.Now,
		Log:            p.Log,
	}
	if cfg.Passkeys, err = newPasskeys(s, p.Data, login); err != nil {
		return nil, err
	}
	if err := s.setLook(&cfg); err != nil {
		return nil, program.WithCode(program.ExitUsage, err)
	}
	if cfg.Proofs, err = newProofs(ctx, s, p.Data); err != nil {
		return nil, err
	}
	if err := s.setUnregistered(&cfg, guard, p.Log); err != nil {
		return nil, program.WithCode(program.ExitUsage, err)
	}
	startNotices(s, p, tokens, guard)
	startWebhooks(s, p, cfg.SecondFactors.Vault, guard)
	if err := s.startMail(ctx, &cfg, p, login); err != nil {
		return nil, err
	}
	if err := s.setAdminAPI(&cfg, p.Data, login, guard); err != nil {
		return nil, err
	}
	return web.New(cfg), nil
}

// newVerifier returns what verifies access tokens for the default API.
func newVerifier(s Settings, keys keyring.Source) (*token.Verifier, error) {
	return token.NewVerifier(token.VerifierConfig{Keys: keys, Issuer: s.Issuer, Audience: s.Audience, Now: s.Now})
}

// assertions returns what checks the assertions of clients.
func assertions(s Settings, guard *outbound.Guard, data *store.Store) *assertion.Verifier {
	return assertion.New(assertion.Config{
		Audiences: []string{s.Issuer, s.Issuer + "/token", s.Issuer + "/par"},
		Guard:     guard,
		Store:     data,
		Now:       s.Now,
	})
}

// revocations returns what publishes revocations.
func revocations(s Settings, p Parts, lists grant.Lists) *revocation.Provider {
	return revocation.NewProvider(revocation.Config{
		Lifetime:  s.AccessTokenLifetime,
		Lists:     lists,
		Grants:    p.Data,
		APIs:      p.Data,
		Signer:    &token.Signer{Keys: p.Keys, Audience: s.Audience, OwnAudience: s.adminAudience(), Now: s.Now},
		Now:       s.Now,
		Published: observeRevocations(p.Registry),
		Log:       p.Log,
	})
}

// newGuard returns what sends every request to a URL that a client or a stranger chose.
func newGuard(s Settings, traces *tracing.Tracer, log *slog.Logger) (*outbound.Guard, error) {
	exception, err := outbound.ParseException(s.InsecureFetchFrom)
	if err != nil {
		return nil, err
	}
	if exception.IsValid() {
		log.Warn("--insecure-fetch-from (HALLPASS_INSECURE_FETCH_FROM) lets clients make the server call an address of "+
			"this machine: use it for tests and examples only", "address", exception.String())
	}
	return outbound.New(outbound.Config{
		Exception: exception, Now: s.Now, Log: log, Transport: traces.Transport,
	}), nil
}

// tokenService returns what issues, inspects and revokes tokens. It accepts its tokens for any
// API.
func tokenService(s Settings, p Parts, login *account.Login) (*issuing.Service, error) {
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys: p.Keys, Issuer: s.Issuer, Audience: s.Audience, InsecureAnyAudience: true, Now: s.Now,
		OwnAudience: s.adminAudience(),
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
		Store:           p.Data,
		Passwords:       login,
		SecondFactors:   login.SecondFactors,
		DefaultClient:   s.DefaultClient,
		AdminAPI:        s.Admin.AdminConsole,
		Signer:          &token.Signer{Keys: p.Keys, Audience: s.Audience, OwnAudience: s.adminAudience(), Now: s.Now},
		Verifier:        verifier,
		Now:             s.Now,
		Random:          rand.Reader,
		Log:             p.Log,
		Observer:        newTokenMetrics(p.Registry),
	}), nil
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
