package adminapi_test

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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database/databasetest"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/client"
	"github.com/hallpass-auth/hallpass/authserver/internal/grant"
	"github.com/hallpass-auth/hallpass/authserver/internal/secret"
	"github.com/hallpass-auth/hallpass/authserver/internal/server"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/store/storetest"
)

const (
	issuer   = "https://login.example"
	audience = issuer + adminapi.Path
	api      = "https://api.example"

	ada      = "ada" // an administrator
	password = "correct horse battery staple"
	app      = "admin-app" // has the scope, and users
	robot    = "robot"     // a service that may administer
	callback = "https://app.example/back"
)

// twoFactors are the methods of a login with a second factor.
var twoFactors = []string{grant.MethodPassword, "otp", grant.MethodMultiFactor}

// host is a whole server with an admin API, and a clock that tests move.
type host struct {
	*httptest.Server
	t       *testing.T
	data    *store.Store
	path    string // of the database
	secrets map[string]string

	mu  sync.Mutex
	now time.Time
}

func (h *host) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *host) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// start starts a server; change may change its settings.
func start(t *testing.T, change ...func(*server.Settings)) *host {
	t.Helper()
	h := &host{t: t, path: storetest.SQLite(t), secrets: map[string]string{}, now: time.Now().Truncate(time.Second)}
	var err error
	h.data, err = store.Open(t.Context(), "sqlite:"+h.path, databasetest.Pool)
	h.must(err)
	t.Cleanup(func() { _ = h.data.Close() })
	hasher, err := account.NewHasher(account.MinCost)
	h.must(err)
	h.users(hasher)
	h.clients()
	return startOn(t, h, change...)
}

// startOn starts a server on the database of a host.
func startOn(t *testing.T, on *host, change ...func(*server.Settings)) *host {
	t.Helper()
	h := &host{t: t, path: on.path, secrets: on.secrets, now: on.clock(), data: on.data}
	set, err := keyring.Generate(keyring.HS256, h.now.Add(-time.Hour), rand.Reader)
	h.must(err)
	set, _, err = keyring.AddIDTokenKey(set, keyring.ES256, h.now.Add(-time.Hour), rand.Reader)
	h.must(err)
	keys, err := keyring.Parse(set)
	h.must(err)
	hasher, err := account.NewHasher(account.MinCost)
	h.must(err)
	settings := server.Settings{
		Issuer: issuer, Audience: api, Now: h.clock, AccessTokenLifetime: 30 * time.Minute,
		RefreshIdle: 24 * time.Hour, RefreshLifetime: 48 * time.Hour, RefreshGrace: 10 * time.Second,
		ClientDocuments: []string{"off"}, Registration: "off", Demo: server.DemoOff,
		PasswordWorkers: 2, PasswordQueue: 64, PasswordWait: time.Minute,
		Admin: server.Administration{AdminConsole: true},
	}
	for _, f := range change {
		f(&settings)
	}
	background := server.NewBackground(t.Context(), slog.New(slog.DiscardHandler))
	t.Cleanup(background.Stop)
	handler, err := server.Handler(t.Context(), settings, server.Parts{
		Keys: keys, Data: h.data, Hasher: hasher, Registry: httpserver.NewRegistry("test"),
		Background: background, Log: slog.New(slog.DiscardHandler),
	})
	h.must(err)
	h.Server = httptest.NewServer(handler)
	t.Cleanup(h.Close)
	return h
}

// users adds the administrator and other users.
func (h *host) users(hasher *account.Hasher) {
	hash, err := hasher.Hash(password)
	h.must(err)
	for name, groups := range map[string][]string{
		ada: {account.AdminGroup}, "bea": {account.AdminGroup}, "carl": {"staff"},
	} {
		u, err := account.New(name, name, hash, h.now)
		h.must(err)
		u.Groups = groups
		h.must(h.data.CreateUser(h.t.Context(), u))
	}
}

// clients adds an app and services.
func (h *host) clients() {
	code := []oauth.GrantType{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantPassword}
	service := []oauth.GrantType{oauth.GrantClientCredentials}
	for _, c := range []client.Client{
		{ID: app, IDTokenAlgorithm: keyring.ES256, Grants: code, RedirectURIs: []string{callback}, Scope: oauth.Scope{"hallpass:admin", "profile"}},
		{ID: "plain-app", Grants: code, RedirectURIs: []string{callback}, Scope: oauth.Scope{"profile"}},
		{ID: robot, Grants: service, Scope: oauth.Scope{"hallpass:admin"}, Admin: true},
		{ID: "plain-robot", Grants: service, Scope: oauth.Scope{"hallpass:admin", "profile"}},
	} {
		text, digest, err := client.GenerateSecret(rand.Reader)
		h.must(err)
		h.secrets[c.ID], c.SecretDigest, c.Name, c.CreatedAt = text, digest, c.ID, h.now
		h.must(h.data.CreateClient(h.t.Context(), c))
	}
}

// tokenRequest sends a token request of a client and returns the response.
func (h *host) tokenRequest(id string, form url.Values) (status int, body map[string]any) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.URL+"/token", strings.NewReader(form.Encode()))
	h.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(h.secrets[id]))
	resp, err := http.DefaultClient.Do(r)
	h.must(err)
	defer resp.Body.Close()
	h.must(json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body
}

// login says what a code is for.
type login struct {
	username, client string
	scope            oauth.Scope
	audience         string
	methods          []string
}

// redeem has a user log in, stores the code that the authorization endpoint would send, and redeems it.
func (h *host) redeem(l login) (status int, body map[string]any) {
	h.t.Helper()
	ctx, now := h.t.Context(), h.clock()
	u, err := h.data.UserByUsername(ctx, l.username)
	h.must(err)
	session, code, verifier := rand.Text(), rand.Text(), rand.Text()+rand.Text()
	how := grant.Authentication{At: now, Methods: l.methods}
	h.must(h.data.StartSession(ctx, store.NewSession{
		Digest: secret.Digest(session), User: u, Methods: l.methods, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}))
	sum := sha256.Sum256([]byte(verifier))
	h.must(h.data.CreateCode(ctx, grant.Code{
		Digest: secret.Digest(code), ClientID: l.client, UserID: u.ID, Session: secret.Digest(session),
		Audience: l.audience, RedirectURI: callback, Scope: l.scope, Authentication: how,
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}))
	return h.tokenRequest(l.client, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback},
	})
}

// token returns an access token of a member of a group, with a second factor.
func (h *host) token(username string) string {
	h.t.Helper()
	status, body := h.redeem(login{username, app, oauth.Scope{"hallpass:admin"}, audience, twoFactors})
	if status != http.StatusOK {
		h.t.Fatalf("no token for %s: %d %v", username, status, body)
	}
	return body["access_token"].(string)
}

// robotToken returns an access token of the service.
func (h *host) robotToken() string {
	h.t.Helper()
	status, body := h.tokenRequest(robot, url.Values{"grant_type": {"client_credentials"}, "resource": {audience}})
	if status != http.StatusOK {
		h.t.Fatalf("no token: %d %v", status, body)
	}
	return body["access_token"].(string)
}

// answer is a response whose body was read.
type answer struct {
	*http.Response
	body string
}

// call sends a request to the API. The header is name, value, and so on.
func (h *host) call(method, path, token, body string, header ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.URL+adminapi.Path+path, strings.NewReader(body))
	h.must(err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	h.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	h.must(err)
	return answer{resp, string(text)}
}

// expect checks the status, and that the body or the challenge has a text.
func (a answer) expect(t *testing.T, what string, status int, says string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body+strings.Join(a.Header["Www-Authenticate"], " "), says) {
		t.Errorf("%s: %d %s %q, want %d that says %q", what, a.StatusCode, a.body, a.Header["Www-Authenticate"], status, says)
	}
}
