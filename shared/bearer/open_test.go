package bearer_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// config returns a Config that Open accepts.
func config() bearer.Config {
	return bearer.Config{Issuer: issuer, Audience: audience, TokenSecret: secret}
}

// The error of Open names the field, and holds no secret.
func TestOpenRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "keys.json")
	for _, tt := range []struct {
		name, field, text string
		change            func(*bearer.Config)
	}{
		{"no issuer", "Issuer", "URL", func(c *bearer.Config) { c.Issuer = "" }},
		{"issuer with a slash", "Issuer", "slash", func(c *bearer.Config) { c.Issuer += "/" }},
		{"no audience", "Audience", "absolute URI", func(c *bearer.Config) { c.Audience = "" }},
		{"audience with a fragment", "Audience", "fragment", func(c *bearer.Config) { c.Audience += "#x" }},
		{"no keys", "Keys", "set one", func(c *bearer.Config) { c.TokenSecret = "" }},
		{"two sources of keys", "Keys", "more than one", func(c *bearer.Config) { c.KeysFile = missing }},
		{"short secret", "TokenSecret", "31 bytes", func(c *bearer.Config) { c.TokenSecret = secret[:31] }},
		{"missing file", "KeysFile", missing, func(c *bearer.Config) { c.TokenSecret, c.KeysFile = "", missing }},
		{"keys URL without a scheme", "KeysURL", "jwks.json", func(c *bearer.Config) { c.TokenSecret, c.KeysURL = "", "x" }},
		{"lists URL without a scheme", "StatusListsURL", "status-lists", func(c *bearer.Config) { c.StatusListsURL = "x" }},
	} {
		cfg := config()
		tt.change(&cfg)
		guard, err := bearer.Open(t.Context(), cfg)
		var wrong *bearer.ConfigError
		if guard != nil || !errors.As(err, &wrong) || wrong.Field != tt.field {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := err.Error(); !strings.HasPrefix(got, "bearer.Config."+tt.field+": ") || !strings.Contains(got, tt.text) {
			t.Errorf("%s: %q does not contain %q", tt.name, got, tt.text)
		}
		if strings.Contains(err.Error(), secret[:31]) {
			t.Errorf("%s: the secret is in the error %q", tt.name, err)
		}
	}
	cfg := config()
	cfg.TokenSecret, cfg.KeysFile = "", missing
	if _, err := bearer.Open(t.Context(), cfg); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// publisher publishes public keys, and a status list in which index 1 is revoked.
type publisher struct {
	t      *testing.T
	ring   *keyring.Ring
	issuer string
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.URL.Path == "/jwks.json" {
		set, err := p.ring.Public(now)
		if err != nil {
			p.t.Error(err)
		}
		_, _ = w.Write(set)
		return
	}
	key, err := p.ring.Signer(now)
	if err != nil {
		p.t.Error(err)
		return
	}
	list := statuslist.NewList(8)
	list.Revoke(1)
	text, err := statuslist.Sign(statuslist.Token{
		URI: p.issuer + r.URL.Path, IssuedAt: now, ExpiresAt: now.Add(time.Hour), List: list,
	}, key)
	if err != nil {
		p.t.Error(err)
	}
	_, _ = w.Write([]byte(text))
}

// publish starts an authorization server with a new key pair.
func publish(t *testing.T) *publisher {
	t.Helper()
	set, err := keyring.Generate(keyring.EdDSA, time.Now().Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(set)
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, ring: ring}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.issuer = server.URL
	return p
}

// sign returns a token that refers to an index of a list.
func (p *publisher) sign(index int64) string {
	p.t.Helper()
	now := time.Now()
	raw, err := (&token.Signer{Keys: p.ring}).Sign(&token.Claims{
		Issuer: p.issuer, Audience: []string{audience}, Subject: "usr_1", ClientID: "web", ID: "1",
		IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		Status: &token.Status{URI: p.issuer + statuslist.Path + "/0", Index: index},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

// A guard with a keys URL is ready after the keys were fetched. It accepts a token signed with the private
// half, and refuses a revoked one.
func TestOpenWithKeysURL(t *testing.T) {
	p := publish(t)
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer:   p.issuer,
		Audience: audience,
		KeysURL:  p.issuer + "/jwks.json",
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); guard.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the guard is not ready after 5 minutes")
		}
	}
	server := httptest.NewServer(guard.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()
	for index, want := range map[int64]int{0: 200, 1: 401, 8: 401} {
		if resp, _ := call(t, server.URL, "Bearer "+p.sign(index)); resp.StatusCode != want {
			t.Errorf("index %d: status %d, want %d", index, resp.StatusCode, want)
		}
	}
	if got := guard.Stats(); got.Lists != 1 || got.Failures != 0 {
		t.Errorf("stats %+v", got)
	}
}

// A token that refers to no status list cannot be revoked, so it is refused unless the configuration gives
// that up.
func TestMissingStatus(t *testing.T) {
	tokens := bearertest.New(t)
	for allowed, want := range map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized} {
		log, lines := newLog()
		guard, err := bearer.Open(t.Context(), bearer.Config{
			Issuer: issuer, Audience: audience, Keys: tokens.Ring(), Log: log, AllowMissingStatus: allowed,
		})
		if err != nil {
			t.Fatal(err)
		}
		claims := tokens.Claims("a")
		claims.Issuer, claims.Audience = issuer, []string{audience}
		server := httptest.NewServer(guard.Require("a")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		defer server.Close()
		if resp, _ := call(t, server.URL, "Bearer "+tokens.Sign(claims)); resp.StatusCode != want {
			t.Errorf("allowed %v: status %d", allowed, resp.StatusCode)
		}
		if got := strings.Contains(lines.String(), "refers to no status list"); got == allowed {
			t.Errorf("allowed %v: log %s", allowed, lines)
		}
	}
}

// A guard without keys is not ready, and cannot tell whether a token is valid.
func TestNotReadyWithoutKeys(t *testing.T) {
	unreachable := httptest.NewServer(http.NotFoundHandler())
	unreachable.Close()
	log, _ := newLog()
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: issuer, Audience: audience, KeysURL: unreachable.URL, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if guard.Ready() == nil {
		t.Error("ready without keys")
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+accessToken("x"))
	if _, refusal := guard.Authenticate(r); refusal == nil || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("refusal %+v", refusal)
	}
}

// laterKeys is a source of somebody else, which has no ring before its first fetch.
type laterKeys struct{ ring atomic.Pointer[keyring.Ring] }

func (k *laterKeys) Current() *keyring.Ring { return k.ring.Load() }

// While a source has no ring, the guard is not ready and cannot tell whether a token is valid: 503, and no panic. Text
// that is no token gets a 401. Once the source has a ring, its keys count.
func TestSourceWithoutARing(t *testing.T) {
	issuer, keys := bearertest.New(t), new(laterKeys)
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: keys, AllowMissingStatus: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	status := func(authorization string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		guard.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	good, forged := issuer.Token(), bearertest.New(t).Token()
	for _, token := range []string{"Bearer " + good, "Bearer " + forged, "DPoP " + good} {
		if got := status(token); got != http.StatusServiceUnavailable {
			t.Errorf("%s without a ring: %d", token[:6], got)
		}
	}
	if got := status("Bearer x"); got != http.StatusUnauthorized {
		t.Errorf("no token without a ring: %d", got)
	}
	if guard.Ready() == nil {
		t.Error("ready without a ring")
	}
	keys.ring.Store(issuer.Ring())
	if got, of := status("Bearer "+good), status("Bearer "+forged); got != http.StatusOK || of != http.StatusUnauthorized {
		t.Errorf("with a ring: %d, a forged token: %d", got, of)
	}
	if err := guard.Ready(); err != nil {
		t.Errorf("with a ring: %v", err)
	}
	keys.ring.Store(nil) // and a token in the cache
	if got := status("Bearer " + good); got != http.StatusServiceUnavailable {
		t.Errorf("without a ring again: %d", got)
	}
}

// A guard with a keys file is ready at once, and has no status lists yet.
func TestOpenWithKeysFile(t *testing.T) {
	set, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config()
	cfg.TokenSecret, cfg.KeysFile = "", path
	guard, err := bearer.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Ready(); err != nil {
		t.Error(err)
	}
	if guard.Issuer() != issuer || guard.Audience() != audience || guard.Stats() != (statuslist.Stats{}) {
		t.Errorf("issuer %s, audience %s, stats %+v", guard.Issuer(), guard.Audience(), guard.Stats())
	}
}

// The keys file of the authorization server, which has the secrets of several APIs, is refused at start: an
// API that had it could sign tokens for the others. So is a source that the caller has opened from it.
func TestOpenRefusesSecretsOfOtherAPIs(t *testing.T) {
	const reports, billing = "https://reports.example", "https://billing.example"
	unbound, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	two, ofReports, err := keyring.Add(unbound, keyring.HS256, reports, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	three, _, err := keyring.Add(two, keyring.HS256, billing, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := keyring.Generate(keyring.EdDSA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withPair, _, err := keyring.Add(pair, keyring.HS256, reports, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		set            []byte
		audience, says string // says is empty if the keys are accepted
	}{
		"one secret, for any API":       {unbound, reports, ""},
		"its own":                       {ofReports, reports, ""},
		"another API's":                 {ofReports, billing, reports},
		"whole file, of the default":    {two, audience, reports},
		"whole file, of a further one":  {two, reports, "default API"},
		"whole file with a third":       {three, reports, billing},
		"its own, and an unbound pair":  {withPair, reports, ""},
		"the default's with a pair too": {withPair, audience, reports},
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, tt.set, 0o600); err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Parse(tt.set)
		if err != nil {
			t.Fatal(err)
		}
		log, _ := newLog()
		for field, cfg := range map[string]bearer.Config{"KeysFile": {KeysFile: path}, "Keys": {Keys: ring}} {
			cfg.Issuer, cfg.Audience, cfg.Log = issuer, tt.audience, log
			_, err := bearer.Open(t.Context(), cfg)
			var wrong *bearer.ConfigError
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("%s, %s: %v", name, field, err)
			case tt.says != "" && (!errors.As(err, &wrong) || wrong.Field != field ||
				!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "authserver key export")):
				t.Errorf("%s, %s: %v", name, field, err)
			}
		}
	}
}

// RequireUser accepts every user, with names or without, and refuses a client, as an invalid token. A
// token of a client does not become a user's by a name in it.
func TestRequireUser(t *testing.T) {
	tokens := bearertest.New(t)
	guard := tokens.Guard()
	guard.ServeMetadata(http.NewServeMux().Handle)
	server := httptest.NewServer(guard.RequireUser("a")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			claims, _ := bearer.FromContext(r.Context())
			_, _ = w.Write([]byte(claims.Username))
		})))
	defer server.Close()
	if resp, body := call(t, server.URL, "Bearer "+tokens.Token("a")); resp.StatusCode != 200 || body != "john.doe" {
		t.Errorf("user: status %d, body %s", resp.StatusCode, body)
	}
	nameless := tokens.Claims("a")
	nameless.Username, nameless.Name = "", ""
	if resp, body := call(t, server.URL, "Bearer "+tokens.Sign(nameless)); resp.StatusCode != 200 || body != "" {
		t.Errorf("user without names: status %d, body %s", resp.StatusCode, body)
	}
	client := tokens.Claims("a")
	client.Subject = client.ClientID
	resp, body := call(t, server.URL, "Bearer "+tokens.Sign(client))
	isProblem(t, resp, body, http.StatusUnauthorized, "Could not validate credentials")
	want := strings.Replace(challengeToken, "items:read items:write", "a", 1)
	if got := resp.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("challenge %s", got)
	}
	if resp, _ := call(t, server.URL, "Bearer "+tokens.Token("b")); resp.StatusCode != http.StatusForbidden {
		t.Errorf("user without the scope: status %d", resp.StatusCode)
	}
	if resp, _ := call(t, server.URL); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("no token: status %d", resp.StatusCode)
	}
}

// A scope includes those that the API says, also by others.
func TestScopeIncludes(t *testing.T) {
	tokens := bearertest.New(t)
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: tokens.Ring(), AllowMissingStatus: true,
		ScopeIncludes: map[string][]string{"admin": {"items:write"}, "items:write": {"items:read"}, "items:read": {"admin2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		granted string
		wanted  []string
		ok      bool
	}{
		{"items:read", []string{"items:read"}, true},
		{"items:write", []string{"items:read"}, true},
		{"items:write", []string{"items:read", "items:write"}, true},
		{"admin", []string{"items:read", "admin2"}, true},
		{"items:read", []string{"items:write"}, false},
		{"items:read", []string{"items:read", "items:write"}, false},
		{"items:write", []string{"admin"}, false},
		{"other", []string{"items:read"}, false},
		{"other", nil, true},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+tokens.Token(tt.granted))
		claims, refusal := guard.Authenticate(r, tt.wanted...)
		if (refusal == nil) != tt.ok {
			t.Errorf("%s for %v: refused %v", tt.granted, tt.wanted, refusal)
		}
		if refusal != nil && refusal.Scope.String() != strings.Join(tt.wanted, " ") {
			t.Errorf("%s for %v: the challenge asks for %v", tt.granted, tt.wanted, refusal.Scope)
		}
		if claims != nil && claims.Scope.String() != tt.granted {
			t.Errorf("%s: the claims have %v", tt.granted, claims.Scope)
		}
	}
}
