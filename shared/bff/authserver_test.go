package bff_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

const (
	clientID     = "app"
	clientSecret = "a secret with / and +"
	audience     = "https://api.example"
	userID       = "usr_00000000-0000-4000-8000-000000000001"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// authServer is an authorization server with one user, who is logged in and allows everything.
type authServer struct {
	*httptest.Server
	t     testing.TB
	clock *clock
	ring  *keyring.Ring
	key   jose.SigningKey
	list  *statuslist.List

	mu        sync.Mutex
	codes     map[string]url.Values // the authorization request of each code
	refresh   map[string]int64      // the grant of each refresh token that is valid
	grants    int64
	refreshes int
	down      bool
	wait      chan struct{}                              // refreshes wait until it is closed
	failing   http.HandlerFunc                           // responds instead of the keys, if it is set
	fetches   int                                        // of the keys
	fetching  int                                        // fetches that run
	together  int                                        // how many of them ran at once at most
	idToken   func(claims map[string]any) map[string]any // changes ID tokens
}

func newAuthServer(t testing.TB) *authServer {
	t.Helper()
	ring, err := keyring.FromSecret("a secret of the tests, of 32 bytes or more")
	if err != nil {
		t.Fatal(err)
	}
	a := &authServer{
		t: t, clock: &clock{now: time.Now()}, ring: ring, list: statuslist.NewList(1000),
		codes: map[string]url.Values{}, refresh: map[string]int64{},
	}
	a.rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", a.metadata)
	mux.HandleFunc("GET /jwks.json", a.serveKeys)
	mux.HandleFunc("POST /token", a.token)
	mux.HandleFunc("POST /revoke", a.revoke)
	mux.HandleFunc("GET /status-lists/0", a.statusList)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		down := a.down
		a.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authServer) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// rotate replaces the key of ID tokens and logout tokens.
func (a *authServer) rotate() {
	a.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.key = jose.SigningKey{
		Algorithm: jose.RS256,
		Key:       jose.JSONWebKey{Key: private, KeyID: rand.Text(), Use: "sig", Algorithm: "RS256"},
	}
}

// serveKeys serves GET /jwks.json.
func (a *authServer) serveKeys(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	key, _ := a.key.Key.(jose.JSONWebKey)
	failing := a.failing
	a.fetches++
	a.fetching++
	a.together = max(a.together, a.fetching)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.fetching--
	}()
	if failing != nil {
		failing(w, r)
		return
	}
	a.json(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
}

// setFailing lets a function respond instead of the keys, or nil to end that.
func (a *authServer) setFailing(respond http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failing = respond
}

// fetched returns how often the keys were fetched, and how many fetches ran at once at most.
func (a *authServer) fetched() (fetches, together int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetches, a.together
}

func (a *authServer) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.t.Error(err)
	}
}

func (a *authServer) metadata(w http.ResponseWriter, _ *http.Request) {
	a.json(w, 200, map[string]any{
		"issuer": a.URL, "authorization_endpoint": a.URL + "/authorize", "token_endpoint": a.URL + "/token",
		"jwks_uri": a.URL + "/jwks.json", "revocation_endpoint": a.URL + "/revoke",
		"end_session_endpoint":                           a.URL + "/end_session",
		"id_token_signing_alg_values_supported":          []string{"RS256", "HS256", "none"},
		"authorization_response_iss_parameter_supported": true,
	})
}

// authorize opens the address that the browser is sent to, and returns where it is sent next.
func (a *authServer) authorize(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, a.URL+"/authorize?") {
		t.Fatalf("the browser is sent to %q, %v", address, err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("client_id") != clientID ||
		q.Get("scope") != "openid items:read" {
		t.Errorf("authorization request %v", q)
	}
	code := rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[code] = q
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {a.URL}}
	return q.Get("redirect_uri") + "?" + back.Encode()
}

func (a *authServer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if secret, _ = url.QueryUnescape(secret); id != clientID || secret != clientSecret {
		a.json(w, 401, map[string]string{"error": "invalid_client"})
		return
	}
	if r.FormValue("grant_type") == "refresh_token" {
		a.mu.Lock()
		a.refreshes++
		wait := a.wait
		a.mu.Unlock()
		if wait != nil {
			<-wait
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var grant int64
	nonce := ""
	switch r.FormValue("grant_type") {
	case "authorization_code":
		asked, ok := a.codes[r.FormValue("code")]
		digest := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(digest[:]) {
			a.json(w, 400, map[string]string{"error": "invalid_grant"})
			return
		}
		delete(a.codes, r.FormValue("code"))
		a.grants++
		grant, nonce = a.grants, asked.Get("nonce")
	case "refresh_token":
		old := r.FormValue("refresh_token")
		known, ok := a.refresh[old]
		if !ok {
			a.json(w, 400, map[string]string{"error": "invalid_grant"})
			return
		}
		delete(a.refresh, old)
		grant = known
	}
	a.json(w, 200, a.issue(grant, nonce))
}

// issue returns the response of the token endpoint. Access tokens are valid for 10 minutes.
func (a *authServer) issue(grant int64, nonce string) map[string]any {
	now := a.clock.time()
	signed, err := (&token.Signer{Keys: a.ring}).Sign(&token.Claims{
		Issuer: a.URL, Subject: userID, Audience: []string{audience}, ClientID: clientID, ID: rand.Text(),
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute), Scope: oauth.Scope{"items:read"},
		Status: &token.Status{Index: grant, URI: a.URL + "/status-lists/0"},
	})
	if err != nil {
		a.t.Error(err)
	}
	next := rand.Text()
	a.refresh[next] = grant
	response := map[string]any{"access_token": signed, "token_type": "Bearer", "expires_in": 600, "refresh_token": next}
	if nonce != "" {
		claims := map[string]any{
			"iss": a.URL, "sub": userID, "aud": clientID, "nonce": nonce, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"sid": "the sid", "name": "John Doe", "preferred_username": "john.doe",
		}
		if a.idToken != nil {
			claims = a.idToken(claims)
		}
		response["id_token"] = a.sign(claims, "JWT")
	}
	return response
}

func (a *authServer) sign(claims map[string]any, typ string) string {
	signer, err := jose.NewSigner(a.key, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	jws, err := signer.Sign(text)
	if err != nil {
		a.t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return compact
}

// logoutToken returns a logout token, with changed claims.
func (a *authServer) logoutToken(changes map[string]any) string {
	now := a.clock.time()
	claims := map[string]any{
		"iss": a.URL, "aud": clientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"sub": userID, "sid": "the sid",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, value := range changes {
		claims[name] = value
	}
	return a.sign(claims, "logout+jwt")
}

// withAlgorithm returns a logout token whose signature is the HMAC with a secret, or empty if that is nil.
func (a *authServer) withAlgorithm(algorithm string, secret []byte) string {
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + algorithm + `","typ":"logout+jwt"}`))
	text := header + "." + strings.Split(a.logoutToken(nil), ".")[1]
	if secret == nil {
		return text + "."
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// publicKey returns the public key as it is often misused as a secret.
func (a *authServer) publicKey() []byte {
	key, _ := a.key.Key.(jose.JSONWebKey)
	text, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text})
}

func (a *authServer) revoke(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if grant, ok := a.refresh[r.FormValue("token")]; ok {
		a.list.Revoke(grant)
		delete(a.refresh, r.FormValue("token"))
	}
	w.WriteHeader(http.StatusOK)
}

// revokeAll ends all logins, as a command of the server does.
func (a *authServer) revokeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for old, grant := range a.refresh {
		a.list.Revoke(grant)
		delete(a.refresh, old)
	}
}

func (a *authServer) statusList(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.time()
	key, err := a.ring.Signer(now)
	if err != nil {
		a.t.Error(err)
	}
	text, err := statuslist.Sign(statuslist.Token{
		URI: a.URL + r.URL.Path, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour), TTL: time.Second, List: a.list,
	}, key)
	if err != nil {
		a.t.Error(err)
	}
	w.Header().Set("Content-Type", statuslist.MediaType)
	fmt.Fprint(w, text)
}

// guard returns a guard of the API.
func (a *authServer) guard() *bearer.Guard {
	a.t.Helper()
	guard, err := bearer.Open(a.t.Context(), bearer.Config{
		Issuer: a.URL, Audience: audience, Keys: a.ring, Now: a.clock.time,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return guard
}

func (a *authServer) refreshCount() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refreshes
}
