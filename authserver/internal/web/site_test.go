package web_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/assertion"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/revocation"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// What the site of these tests is.
const (
	issuer   = "https://login.example"
	audience = "https://api.example"
	lifetime = 30 * time.Minute
)

// Its users, and a password that is nobody's.
const (
	john     = "john.doe"
	password = "securepassword"
	disabled = "disabled.user"
	guess    = "a-wrong-password"
)

// Its clients, by what is special about them.
const (
	demo     = "demo"     // public, and the default client
	public   = "spa"      // public
	backend  = "backend"  // confidential
	odd      = "odd"      // confidential, with a secret that must be form-encoded
	reporter = "reporter" // confidential, without the password grant
)

// oddSecret has a character for every rule of form-encoding.
const oddSecret = "a b+c:d%41&é="

// site is the public side of an authorization server: the real thing behind a real
// HTTP server, on a database of its own, with a clock that tests move.
type site struct {
	t        testing.TB
	url      string
	handler  http.Handler
	data     *store.Store
	file     string // of the database; empty for PostgreSQL
	gate     *account.Gate
	registry *prometheus.Registry
	verifier *token.Verifier
	ring     *keyring.Ring
	log      *logBuffer
	secrets  map[string]string // of confidential clients, by id
	idTokens []string          // algorithms of ID tokens

	mu     sync.Mutex
	now    time.Time
	hidden []string // what must never be in the log or in a metric
}

// newSite starts a site; change, if any, gets the last word on its configuration. At
// the end of the test it looks for secrets where none may be.
func newSite(t testing.TB, change ...func(*web.Config)) *site {
	t.Helper()
	return newSiteOn(t, "sqlite:"+storetest.SQLite(t), databasetest.Pool, change...)
}

// newSiteOn is newSite on an empty database.
func newSiteOn(t testing.TB, url string, limits store.Pool, change ...func(*web.Config)) *site {
	t.Helper()
	return startSite(t, nil, url, limits, change...)
}

// newOpenIDSite starts a site with keys for ID tokens of the algorithms.
func newOpenIDSite(t testing.TB, algorithms ...string) *site {
	t.Helper()
	return startSite(t, algorithms, "sqlite:"+storetest.SQLite(t), databasetest.Pool)
}

func startSite(
	t testing.TB,
	idTokens []string,
	url string,
	limits store.Pool,
	change ...func(*web.Config),
) *site {
	t.Helper()
	s := &site{idTokens: idTokens,
		t: t, log: &logBuffer{}, registry: prometheus.NewRegistry(), gate: account.NewGate(2, 64),
		secrets: map[string]string{}, now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
		hidden: []string{password, guess},
	}
	s.open(url, limits)
	cfg := s.config()
	for _, f := range change {
		f(&cfg)
	}
	s.handler = web.New(cfg)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	t.Cleanup(s.expectNothingHidden)
	return s
}

// open makes the database with the users and the clients.
func (s *site) open(url string, limits store.Pool) {
	s.t.Helper()
	s.file, _ = strings.CutPrefix(url, "sqlite:")
	if s.file == url {
		s.file = ""
	}
	var err error
	s.data, err = store.Open(s.t.Context(), url, limits)
	s.must(err)
	s.t.Cleanup(func() { _ = s.data.Close() }) // some tests have closed it
	_, err = s.data.Migrate(s.t.Context())
	s.must(err)
	_, err = s.data.SetDefaultAPI(s.t.Context(), audience, s.now)
	s.must(err)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	s.must(err)
	for username, name := range map[string]string{john: "John Doe", disabled: "Disabled User"} {
		u, err := account.New(username, name, string(hash), s.now)
		s.must(err)
		s.must(s.data.CreateUser(s.t.Context(), u))
	}
	s.must(s.data.DisableUser(s.t.Context(), disabled, s.now))

	s.addClient(demo, "", oauth.GrantPassword)
	s.addClient(public, "", oauth.GrantPassword)
	for _, id := range []string{backend, reporter} {
		secret, _, err := client.GenerateSecret(rand.Reader)
		s.must(err)
		s.addClient(id, secret, map[string]oauth.GrantType{backend: oauth.GrantPassword,
			reporter: oauth.GrantClientCredentials}[id])
	}
	s.addClient(odd, oddSecret, oauth.GrantPassword)
}

// addClient registers a client; without a secret it is public.
func (s *site) addClient(id, secret string, grants ...oauth.GrantType) {
	s.t.Helper()
	c := client.Client{ID: id, Name: id, Grants: grants, Scope: oauth.Scope{"profile", "items:read"}, CreatedAt: s.now}
	if secret != "" {
		sum := sha256.Sum256([]byte(secret))
		c.SecretDigest = base64.RawURLEncoding.EncodeToString(sum[:])
		s.secrets[id] = secret
		s.hidden = append(s.hidden, secret)
	}
	s.must(s.data.CreateClient(s.t.Context(), c))
}

// config wires the site as the program does, with a cheap hash.
func (s *site) config() web.Config {
	s.t.Helper()
	secret := strings.Repeat("k3y-", 8)
	s.hidden = append(s.hidden, secret)
	ring, err := keyring.FromSecret(secret)
	s.must(err)
	if len(s.idTokens) > 0 {
		ring = s.ringWithIDTokens()
	}
	s.ring = ring
	s.verifier, err = token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, Audience: audience, Now: s.clock,
		Leeway: -1})
	s.must(err)
	anyVerifier, err := token.NewVerifier(token.VerifierConfig{Keys: ring, Issuer: issuer, InsecureAnyAudience: true,
		CacheSize: -1, Now: s.clock})
	s.must(err)
	hasher, err := account.NewHasher(bcrypt.MinCost)
	s.must(err)
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	signer := &token.Signer{Keys: ring, Audience: audience, Now: s.clock}
	lists := grant.Lists{Issuer: issuer, Default: audience}
	login := &account.Login{Store: s.data, Hasher: hasher, Gate: s.gate, NameKey: []byte("key of the tests"),
		Now: s.clock, Log: log}
	return web.Config{
		IssuerURL: issuer, DefaultClient: demo,
		SecondFactors: s.secondFactors(login, ring, log),
		Accounts:      &account.Service{Store: s.data, Login: login, Now: s.clock, Log: log},
		Passwords:     login, Store: s.data, Verifier: s.verifier, Keys: ring,
		Tokens: issuing.New(issuing.Config{
			Issuer: issuer, Audience: audience, Lifetime: lifetime,
			RefreshIdle: time.Hour, RefreshLifetime: 24 * time.Hour, RefreshGrace: 10 * time.Second,
			Store: s.data, Passwords: login, Signer: signer, Verifier: anyVerifier,
			Now: s.clock, Random: rand.Reader, Log: log,
		}),
		Revocations: revocation.NewProvider(revocation.Config{
			Lifetime: lifetime, Lists: lists, Grants: s.data, APIs: s.data, Signer: signer, Now: s.clock,
		}),
		Assertions: assertion.New(assertion.Config{
			Audiences: []string{issuer, issuer + "/token", issuer + "/par"}, Store: s.data, Now: s.clock,
			Guard: outbound.New(outbound.Config{Now: s.clock, Log: log}),
		}),
		Proofs: s.proofs(),
		Lists:  lists,
		Now:    s.clock, Log: log, Registry: s.registry,
	}
}

// APIs that have a secret of their own on sites with ID tokens. Tests register them.
const (
	groupsAPI = "https://groups.example"
	itemsAPI  = "https://items.example"
)

// ringWithIDTokens makes shared secrets, and a key for ID tokens of each algorithm.
func (s *site) ringWithIDTokens() *keyring.Ring {
	s.t.Helper()
	set, err := keyring.Generate(keyring.HS256, s.now, rand.Reader)
	s.must(err)
	for _, algorithm := range s.idTokens {
		set, _, err = keyring.AddIDTokenKey(set, algorithm, s.now, rand.Reader)
		s.must(err)
	}
	for _, api := range []string{groupsAPI, itemsAPI} {
		set, _, err = keyring.Add(set, keyring.HS256, api, s.now, rand.Reader)
		s.must(err)
	}
	ring, err := keyring.Parse(set)
	s.must(err)
	return ring
}

// secondFactors returns what checks second factors.
func (s *site) secondFactors(login *account.Login, keys keyring.Source, log *slog.Logger) *secondfactor.Service {
	return &secondfactor.Service{
		Store: s.data, Vault: secondfactor.NewVault(s.data, keys, s.clock, log), Login: login, Name: "login.example",
		Now: s.clock, Log: log,
	}
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// clock is the time at the site.
func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// wait moves the clock.
func (s *site) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// hide makes the end of the test look for one more secret.
func (s *site) hide(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hidden = append(s.hidden, secret)
}

// expectNothingHidden looks for secrets in the log, in the metrics and in the files of the database.
func (s *site) expectNothingHidden() {
	places := map[string]string{"log": s.log.String(), "metrics": s.metrics()}
	for _, name := range []string{s.file, s.file + "-wal"} {
		text, _ := os.ReadFile(name) // PostgreSQL has no file
		places["file "+name] = string(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for place, text := range places {
		for _, secret := range s.hidden {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				if strings.HasPrefix(place, "file ") {
					text = "" // not readable
				}
				s.t.Errorf("the %s holds %q:\n%s", place, secret, text)
			}
		}
	}
}

// metrics is what a collector of metrics would see.
func (s *site) metrics() string {
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Error(err)
	}
	var b strings.Builder
	for _, family := range families {
		b.WriteString(family.String() + "\n")
	}
	return b.String()
}

// counted is how often each endpoint had which result.
func (s *site) counted() map[string]float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	s.must(err)
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "hallpass_oauth_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	return got
}

// login is the form of a good login of the default client, with changes: name, value
// and so on. An empty value leaves the parameter out.
func login(changes ...string) string {
	form := url.Values{"username": {john}, "password": {password}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form.Encode()
}

// change is a change to a request.
type change func(*http.Request)

// header sets a header to these values.
func header(name string, values ...string) change {
	return func(r *http.Request) { r.Header[name] = values }
}

// basic authenticates a client by RFC 6749 section 2.3.1.
func basic(id, secret string) change {
	return rawBasic(url.QueryEscape(id) + ":" + url.QueryEscape(secret))
}

// rawBasic sends credentials that are not encoded but for base64.
func rawBasic(credentials string) change {
	return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
}

// request makes a token request with this body.
func (s *site) request(body string, changes ...change) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/token", strings.NewReader(body))
	s.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range changes {
		f(r)
	}
	return r
}

// post sends a token request with this body, and checks of the answer what must hold
// for every one.
func (s *site) post(body string, changes ...change) answer {
	s.t.Helper()
	return s.tokenAnswer(s.send(s.request(body, changes...)))
}

// send sends a request over the network and returns the response unchecked.
func (s *site) send(r *http.Request) answer {
	s.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	s.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	s.must(err)
	return answer{t: s.t, status: resp.StatusCode, header: resp.Header, text: string(text)}
}

// serve gives a request to the handler without a network.
func (s *site) serve(r *http.Request) answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return answer{t: s.t, status: w.Code, header: w.Result().Header, text: w.Body.String()}
}

// answer is one of the token endpoint.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	text   string
	body   map[string]any
}

// decode reads the answer as JSON.
func (a answer) decode(into any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.text), into); err != nil {
		a.t.Fatalf("status %d, and %q is not JSON: %v", a.status, a.text, err)
	}
}

// codes are the error codes that each status may have.
var codes = map[int][]oauth.ErrorCode{
	http.StatusBadRequest: {
		oauth.CodeInvalidRequest, oauth.CodeInvalidGrant, oauth.CodeUnauthorizedClient, oauth.CodeUnsupportedGrantType,
		oauth.CodeInvalidScope,
		oauth.CodeInvalidTarget,
		oauth.CodeInvalidDPoPProof, oauth.CodeUseDPoPNonce,
		oauth.CodeAuthorizationPending, oauth.CodeSlowDown, oauth.CodeExpiredToken, oauth.CodeAccessDenied,
	},
	http.StatusUnauthorized:        {oauth.CodeInvalidClient},
	http.StatusTooManyRequests:     {oauth.CodeTemporarilyUnavailable},
	http.StatusServiceUnavailable:  {oauth.CodeTemporarilyUnavailable},
	http.StatusInternalServerError: {oauth.CodeServerError},
}

// tokenAnswer checks what holds for every answer of the token endpoint, good or bad:
// RFC 6749 section 5.
func (s *site) tokenAnswer(a answer) answer {
	s.t.Helper()
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" ||
		a.header.Get("Pragma") != "no-cache" {
		s.t.Errorf("headers of the answer: %v", a.header)
	}
	if err := json.Unmarshal([]byte(a.text), &a.body); err != nil {
		s.t.Fatalf("status %d, and %q is not JSON: %v", a.status, a.text, err)
	}
	if a.status == http.StatusOK {
		raw, _ := a.body["access_token"].(string)
		if a.body["expires_in"] == nil || a.body["token_type"] == nil || raw == "" || a.body["error"] != nil {
			s.t.Errorf("answer: %s", a.text)
		}
		s.hide(raw)
		return a
	}
	code, _ := a.body["error"].(string)
	if !slices.Contains(codes[a.status], oauth.ErrorCode(code)) {
		s.t.Errorf("status %d with the error %q", a.status, code)
	}
	for name, value := range a.body {
		text, ok := value.(string)
		if !ok || (name != "error" && name != "error_description") || oauth.DescriptionText(text) != text {
			s.t.Errorf("member %s of the error is %v, and may not be", name, value)
		}
	}
	challenge, want := a.header.Get("WWW-Authenticate"), `Basic realm="`+issuer+`"`
	if (a.status == http.StatusUnauthorized) != (challenge == want) {
		s.t.Errorf("status %d with the challenge %q", a.status, challenge)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if temporary := code == string(oauth.CodeTemporarilyUnavailable); temporary != (err == nil && seconds > 0) {
		s.t.Errorf("error %s with Retry-After %q", code, a.header.Get("Retry-After"))
	}
	return a
}

// expect checks the status, the error code (none: a success) and a part of the
// description.
func (a answer) expect(what string, status int, code oauth.ErrorCode, says string) {
	a.t.Helper()
	got, _ := a.body["error"].(string)
	description, _ := a.body["error_description"].(string)
	if a.status != status || got != string(code) || !strings.Contains(description, says) {
		a.t.Errorf("%s: %d %s, want %d %s that says %q", what, a.status, a.text, status, code, says)
	}
}

// expectOK checks that there is a token, and returns what it says.
func (s *site) expectOK(what string, a answer) *token.Claims {
	s.t.Helper()
	if a.status != http.StatusOK {
		s.t.Errorf("%s: %d %s, want a token", what, a.status, a.text)
		return &token.Claims{}
	}
	raw, _ := a.body["access_token"].(string)
	claims, err := s.verifier.Verify(s.t.Context(), raw)
	if err != nil {
		s.t.Errorf("%s: the token is not good: %v", what, err)
		return &token.Claims{}
	}
	return claims
}
