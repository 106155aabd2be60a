package doctor_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/doctor"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// unlimited is a timeout that a busy machine does not reach.
const unlimited = 10 * time.Minute

// A web app that the servers of the tests know.
const appOrigin = "https://app.example"

// options are how the servers of a test differ from good ones.
type options struct {
	tls            bool                            // the authorization server has https
	noOpenID       bool                            // there is no key for ID tokens
	noOrigins      bool                            // no origin is allowed
	apiIssuer      string                          // what the API accepts, if it is not right
	apiAudience    string                          // what the API calls itself, if it is not right
	apiKeys        []byte                          // the keys of the API, if they are not right
	noStatus       bool                            // the API reads no status lists
	open           bool                            // the API needs no token
	requireDPoP    bool                            // the API refuses bearer tokens
	proxy, frontOf func(http.Handler) http.Handler // in front of the authorization server and the API
}

// system is an authorization server and an API.
type system struct {
	t         *testing.T
	auth, api *httptest.Server
	data      *store.Store
	doctor    doctor.Config
	secret    string // of the client backend
}

// start starts both servers with a real database.
func start(t *testing.T, o options) *system {
	t.Helper()
	s := &system{t: t, auth: httptest.NewUnstartedServer(nil), api: httptest.NewUnstartedServer(nil)}
	issuer, audience := "http://"+s.auth.Listener.Addr().String(), "http://"+s.api.Listener.Addr().String()
	if o.tls {
		issuer = "https" + strings.TrimPrefix(issuer, "http")
	}
	s.open(audience)
	set, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	s.must(err)
	if !o.noOpenID {
		set, _, err = keyring.AddIDTokenKey(set, keyring.ES256, time.Now(), rand.Reader)
		s.must(err)
	}
	ring, err := keyring.Parse(set)
	s.must(err)
	s.auth.Config.Handler = wrap(o.proxy, web.New(s.config(issuer, audience, ring, !o.noOrigins)))
	if o.tls {
		s.auth.StartTLS()
	} else {
		s.auth.Start()
	}
	t.Cleanup(s.auth.Close)
	s.api.Config.Handler = wrap(o.frontOf, s.handler(o, issuer, audience, set))
	s.api.Start()
	t.Cleanup(s.api.Close)
	s.doctor = doctor.Config{
		Issuer: issuer, Audience: audience, API: audience, APIPath: "/users/me", Store: s.data, Keys: ring,
		Timeout: unlimited, RevocationTimeout: unlimited,
	}
	return s
}

func wrap(middleware func(http.Handler) http.Handler, h http.Handler) http.Handler {
	if middleware == nil {
		return h
	}
	return middleware(h)
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// open makes the database with three clients.
func (s *system) open(audience string) {
	s.t.Helper()
	ctx := s.t.Context()
	var err error
	s.data, err = store.Open(ctx, "sqlite:"+storetest.SQLite(s.t), databasetest.Pool)
	s.must(err)
	s.t.Cleanup(func() { _ = s.data.Close() })
	_, err = s.data.SetDefaultAPI(ctx, audience, time.Now())
	s.must(err)
	secret, digest, err := client.GenerateSecret(rand.Reader)
	s.must(err)
	s.secret = secret
	code := []oauth.GrantType{oauth.GrantAuthorizationCode}
	for _, c := range []client.Client{
		{ID: "spa", Grants: code, RedirectURIs: []string{appOrigin + "/callback"}},
		{ID: "backend", Grants: code, RedirectURIs: []string{appOrigin + "/callback"}, SecretDigest: digest},
		{ID: "script", RequireDPoP: true, Grants: []oauth.GrantType{oauth.GrantPassword}},
	} {
		c.Name, c.Scope, c.CreatedAt = c.ID, oauth.Scope{"profile"}, time.Now()
		s.must(s.data.CreateClient(ctx, c))
	}
}

// config wires the authorization server as the program does.
func (s *system) config(issuer, audience string, ring *keyring.Ring, origins bool) web.Config {
	s.t.Helper()
	verifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience})
	s.must(err)
	anyVerifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, InsecureAnyAudience: true})
	s.must(err)
	hasher, err := account.NewHasher(bcrypt.MinCost)
	s.must(err)
	log := slog.New(slog.DiscardHandler)
	signer := &token.Signer{Keys: ring, Audience: audience}
	lists := grant.Lists{Issuer: issuer, Default: audience}
	login := &account.Login{Store: s.data, Hasher: hasher, Gate: account.NewGate(2, 64), NameKey: []byte("tests"),
		Now: time.Now, Log: log}
	cfg := web.Config{
		SecondFactors: &secondfactor.Service{
			Store: s.data, Vault: secondfactor.NewVault(s.data, ring, time.Now, log), Login: login, Name: "login.example",
			Now: time.Now, Log: log,
		},
		IssuerURL: issuer, Passwords: login, Store: s.data, Verifier: verifier, Keys: ring,
		Tokens: issuing.New(issuing.Config{
			Issuer: issuer, Audience: audience, Lifetime: 30 * time.Minute,
			RefreshIdle: time.Hour, RefreshLifetime: 24 * time.Hour, RefreshGrace: unlimited,
			Store: s.data, Passwords: login, Signer: signer, Verifier: anyVerifier,
			Now: time.Now, Random: rand.Reader, Log: log,
		}),
		Revocations: revocation.NewProvider(revocation.Config{
			Lifetime: 30 * time.Minute, Lists: lists, Grants: s.data, APIs: s.data, Signer: signer, Now: time.Now,
		}),
		Lists: lists, Now: time.Now, Log: log, Registry: prometheus.NewRegistry(),
	}
	if origins {
		cfg.AllowedOrigins = []string{appOrigin}
	}
	return cfg
}

// handler returns the API.
func (s *system) handler(o options, issuer, audience string, set []byte) http.Handler {
	s.t.Helper()
	if o.apiIssuer != "" {
		issuer = o.apiIssuer
	}
	if o.apiAudience != "" {
		audience = o.apiAudience
	}
	if o.apiKeys != nil {
		set = o.apiKeys
	}
	keys, err := keyring.ForAPI(set, "")
	s.must(err)
	ring, err := keyring.Parse(keys)
	s.must(err)
	log := slog.New(slog.DiscardHandler)
	guard, err := bearer.Open(s.t.Context(), bearer.Config{
		Issuer: issuer, Audience: audience, Keys: ring, StatusListsURL: s.auth.URL + "/status-lists", Log: log,
		RequireDPoP: o.requireDPoP,
	})
	s.must(err)
	if o.noStatus {
		v, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience})
		s.must(err)
		guard = bearer.New(v, log)
	}
	mux := http.NewServeMux()
	guard.ServeMetadata(func(_ string, h http.Handler) { mux.Handle(bearer.MetadataPath, h) }, "profile")
	me := http.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if !o.open {
		me = guard.RequireUser("profile")(me)
	}
	var origins []string
	if !o.noOrigins {
		origins = []string{appOrigin}
	}
	mux.Handle("/users/me", httpserver.CORS(origins, http.MethodGet)(me))
	return mux
}

// examine runs the doctor and returns its findings by check.
func (s *system) examine() map[string]doctor.Finding {
	s.t.Helper()
	found := map[string]doctor.Finding{}
	err := doctor.Run(s.t.Context(), s.doctor, func(f doctor.Finding) {
		found[f.Check] = f
		for _, secret := range []string{"eyJ", client.SecretPrefix, s.secret} {
			if strings.Contains(f.Found+f.Advice, secret) {
				s.t.Errorf("%s shows a secret", f.Check)
			}
		}
	})
	s.must(err)
	s.expectNothingLeft()
	return found
}

// expectNothingLeft checks that what the doctor has registered is deleted.
func (s *system) expectNothingLeft() {
	s.t.Helper()
	ctx := context.WithoutCancel(s.t.Context())
	users, err := s.data.Users(ctx, record.Page{})
	s.must(err)
	clients, err := s.data.Clients(ctx, record.Page{})
	s.must(err)
	if len(users) > 0 || len(clients) != 3 {
		s.t.Errorf("%d users and %d clients are left, want 0 and 3", len(users), len(clients))
	}
}

// expect checks a finding. The text must be in what was found or in the advice.
func expect(t *testing.T, found map[string]doctor.Finding, check string, verdict doctor.Verdict, text string) {
	t.Helper()
	f := found[check]
	if f.Verdict != verdict || !strings.Contains(f.Found+"\n"+f.Advice, text) {
		t.Errorf("%s: %s: %s -> %s\nwant %s with %q", check, f.Verdict, f.Found, f.Advice, verdict, text)
	}
	if (f.Verdict == doctor.Failed || f.Verdict == doctor.Warning) && f.Advice == "" {
		t.Errorf("%s: no advice", check)
	}
}

// via is a proxy that names itself.
func via(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Via", "1.1 proxy")
		next.ServeHTTP(w, r)
	})
}

// dated has a clock that is off.
func dated(off time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			next.ServeHTTP(w, r)
		})
	}
}

// answering responds to a path with a text.
func answering(path, text string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				next.ServeHTTP(w, r)
				return
			}
			_, _ = io.WriteString(w, text)
		})
	}
}
