package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hallpass-auth/hallpass/shared/oauth"
)

// memory is the floor of the token endpoint and of introspection: it does the same work as the
// authorization server, with maps in memory for a database. Logins check no password.
type memory struct {
	key    []byte
	secret [sha256.Size]byte // digest of the service client's secret

	mu      sync.Mutex
	grants  map[int64]memoryGrant
	refresh map[[sha256.Size]byte]int64 // grant by the digest of its refresh token
	devices map[[sha256.Size]byte]memoryDevice
}

type memoryGrant struct{ client, user, scope string }

// memoryDevice is a device that waits for its user: when it has polled last, and how long it must pause.
type memoryDevice struct {
	polled time.Time
	pause  time.Duration
}

// memoryClaims are the claims of the access tokens.
type memoryClaims struct {
	jwt.RegisteredClaims
	Client string `json:"client_id"`
	Scope  string `json:"scope"`
	Grant  int64  `json:"grant"`
}

// newMemory returns a server with the service client.
func newMemory(secret string) http.Handler {
	m := &memory{
		key:     []byte(rand.Text() + rand.Text()),
		secret:  sha256.Sum256([]byte(secret)),
		grants:  map[int64]memoryGrant{0: {client: serviceClient, user: serviceClient, scope: "items:read"}},
		refresh: map[[sha256.Size]byte]int64{},
		devices: map[[sha256.Size]byte]memoryDevice{},
	}
	handler := http.NewServeMux()
	handler.HandleFunc("POST /token", m.token)
	handler.HandleFunc("POST /introspect", m.introspect)
	handler.HandleFunc("POST /device_authorization", m.authorizeDevice)
	return handler
}

func (m *memory) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		respond(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	number, refresh, ok := int64(0), "", false
	switch r.PostForm.Get("grant_type") {
	case string(oauth.GrantDeviceCode):
		respond(w, http.StatusBadRequest, map[string]string{"error": m.poll(r.PostForm.Get("device_code"))})
		return
	case string(oauth.GrantTokenExchange):
		var g memoryGrant
		if _, g, ok = m.verify(r.PostForm.Get("subject_token")); ok && m.authenticated(r) {
			number, _, ok = m.start(memoryGrant{serviceClient, g.user, r.PostForm.Get("scope")})
		}
	case "password":
		number, refresh, ok = m.start(memoryGrant{demoClient, "1", "profile items:read"})
	case "refresh_token":
		number, refresh, ok = m.rotate(r.PostForm.Get("refresh_token"))
	case "client_credentials":
		ok = m.authenticated(r)
	}
	if !ok {
		respond(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	m.issue(w, number, refresh)
}

// authenticated reports whether a request has the credentials of the service client.
func (m *memory) authenticated(r *http.Request) bool {
	id, escaped, ok := r.BasicAuth()
	secret, err := url.QueryUnescape(escaped) // RFC 6749 section 2.3.1
	digest := sha256.Sum256([]byte(secret))
	return ok && err == nil && id == serviceClient && subtle.ConstantTimeCompare(digest[:], m.secret[:]) == 1
}

// start stores a grant and returns its number and its refresh token.
func (m *memory) start(g memoryGrant) (number int64, refresh string, ok bool) {
	refresh = rand.Text()
	m.mu.Lock()
	defer m.mu.Unlock()
	number = int64(len(m.grants))
	m.grants[number] = g
	m.refresh[sha256.Sum256([]byte(refresh))] = number
	return number, refresh, true
}

// rotate replaces a refresh token. It reports whether the token was current.
func (m *memory) rotate(old string) (number int64, refresh string, ok bool) {
	refresh = rand.Text()
	before, after := sha256.Sum256([]byte(old)), sha256.Sum256([]byte(refresh))
	m.mu.Lock()
	defer m.mu.Unlock()
	if number, ok = m.refresh[before]; ok {
		delete(m.refresh, before)
		m.refresh[after] = number
	}
	return number, refresh, ok
}

// issue signs an access token of a grant and responds with it.
func (m *memory) issue(w http.ResponseWriter, number int64, refresh string) {
	m.mu.Lock()
	g := m.grants[number]
	m.mu.Unlock()
	now := time.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, memoryClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: g.user, Audience: jwt.ClaimStrings{audience}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(30 * time.Minute)),
		},
		Client: g.client, Scope: g.scope, Grant: number,
	}).SignedString(m.key)
	if err != nil {
		respond(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	respond(w, http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token,omitempty"`
		Scope        string `json:"scope"`
	}{signed, "bearer", 1800, refresh, g.scope})
}

func (m *memory) introspect(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || !m.authenticated(r) {
		respond(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	claims, g, ok := m.verify(r.PostForm.Get("token"))
	if !ok {
		respond(w, http.StatusOK, map[string]bool{"active": false})
		return
	}
	respond(w, http.StatusOK, struct {
		Active bool   `json:"active"`
		Type   string `json:"token_type"`
		memoryClaims
	}{true, "bearer", memoryClaims{claims.RegisteredClaims, g.client, g.scope, claims.Grant}})
}

// verify verifies an access token and returns its claims and its grant.
func (m *memory) verify(raw string) (claims memoryClaims, g memoryGrant, ok bool) {
	_, err := jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return m.key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok = m.grants[claims.Grant]
	return claims, g, ok && err == nil
}

// authorizeDevice responds with a device code.
func (m *memory) authorizeDevice(w http.ResponseWriter, _ *http.Request) {
	code := rand.Text()
	m.mu.Lock()
	m.devices[sha256.Sum256([]byte(code))] = memoryDevice{pause: 5 * time.Second}
	m.mu.Unlock()
	respond(w, http.StatusOK, map[string]string{"device_code": code})
}

// poll records a poll and returns the error for the device.
func (m *memory) poll(code string) string {
	digest, now := sha256.Sum256([]byte(code)), time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.devices[digest]
	if !ok {
		return "invalid_grant"
	}
	result := "authorization_pending"
	if now.Before(d.polled.Add(d.pause)) {
		d.pause += 5 * time.Second
		result = "slow_down"
	}
	d.polled = now
	m.devices[digest] = d
	return result
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails if the client is gone
}
