package server_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/resourceserver/internal/server"
	"github.com/hallpass-auth/hallpass/shared/keyring"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/statuslist"
	"github.com/hallpass-auth/hallpass/shared/token"
)

// publisher publishes a status list as an authorization server does.
type publisher struct {
	t      *testing.T
	key    *keyring.Key
	issuer string

	mu       sync.Mutex
	list     *statuslist.List
	version  int
	requests int
}

// publish starts a publisher of a list of 64 bits, which is signed with the keys, and changes the settings
// so that the server fetches it.
func publish(t *testing.T, keys []byte, s *server.Settings) (*publisher, *httptest.Server) {
	t.Helper()
	ring, err := keyring.Parse(keys)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.Signer(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := &publisher{t: t, key: key, issuer: s.Issuer, list: statuslist.NewList(64)}
	lists := httptest.NewServer(p)
	t.Cleanup(lists.Close)
	s.StatusListsURL = lists.URL + "/internal/lists"
	return p, lists
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if r.URL.Path != "/internal/lists/0" {
		http.NotFound(w, r)
		return
	}
	tag := fmt.Sprintf(`W/"%d"`, p.version)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text, err := statuslist.Sign(statuslist.Token{
		URI:       p.issuer + "/status-lists/0",
		IssuedAt:  time.Now(),
		ExpiresAt: time.Now().Add(time.Hour),
		TTL:       200 * time.Millisecond,
		List:      p.list,
	}, p.key)
	if err != nil {
		p.t.Error(err)
	}
	_, _ = w.Write([]byte(text))
}

func (p *publisher) revoke(index int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list.Revoke(index)
	p.version++
}

func (p *publisher) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// withStatus makes a token refer to a bit of a list.
func withStatus(list string, index int64) func(*token.Claims) {
	return func(c *token.Claims) { c.Status = &token.Status{URI: c.Issuer + "/status-lists/" + list, Index: index} }
}

// The metrics after a list could not be fetched for two seconds, which is how long its first request waits.
var (
	aged   = regexp.MustCompile(`(?m)^hallpass_status_list_age_seconds ([2-9]|\d\d)`)
	failed = regexp.MustCompile(`(?m)^hallpass_status_list_failures_total [1-9]`)
)

// A revoked token is refused a moment later, also after the authorization server has stopped. Other tokens
// are still accepted.
func TestRevocation(t *testing.T) {
	s := settings(t)
	keys, err := keyring.Generate(keyring.HS256, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.Keys = keyring.Settings{KeysFile: filepath.Join(t.TempDir(), "keys.json")}
	if err := os.WriteFile(s.Keys.KeysFile, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	p, lists := publish(t, keys, &s)
	_, stop := run(t, s)
	defer stop()

	expect := func(what, raw string, status int, challenge string) {
		t.Helper()
		resp := get(t, "http://"+s.HTTP.Listen+"/users/me", raw)
		if resp.StatusCode != status || !strings.Contains(resp.Header.Get("WWW-Authenticate"), challenge) ||
			(status == 503) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %d %v, want %d and %s", what, resp.StatusCode, resp.Header, status, challenge)
		}
	}
	const invalid = `error="invalid_token"`
	expect("a token without a status", sign(t, keys, s), 401, invalid)
	forged, _, _ := strings.Cut(sign(t, keys, s, withStatus("7", 1)), ".")
	expect("a forged token", forged+".e30.c2ln", 401, invalid)
	expect("a list of another server", sign(t, keys, s, func(c *token.Claims) {
		c.Status = &token.Status{URI: lists.URL + "/internal/lists/0"}
	}), 401, invalid)
	if n := p.fetches(); n != 0 {
		t.Errorf("lists were fetched %d times", n)
	}

	first, second := sign(t, keys, s, withStatus("0", 17)), sign(t, keys, s, withStatus("0", 18))
	expect("a token", first, 200, "")
	expect("another", second, 200, "")
	expect("an index out of range", sign(t, keys, s, withStatus("0", 64)), 401, invalid)
	expect("a missing list", sign(t, keys, s, withStatus("1", 1)), 503, "")
	if metrics := body(t, get(t, "http://"+s.HTTP.AdminListen+"/metrics", "")); !aged.MatchString(metrics) {
		t.Errorf("a missing list looks fresh:\n%s", metrics)
	}
	unscoped := sign(t, keys, s, withStatus("0", 17), func(c *token.Claims) { c.Scope = oauth.Scope{"x"} })
	expect("a token without the scope", unscoped, 403, `error="insufficient_scope"`)

	p.revoke(17)
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if get(t, "http://"+s.HTTP.Listen+"/users/me", first).StatusCode != 200 {
			break
		}
	}
	expect("a revoked token", first, 401, invalid)
	expect("another", second, 200, "")
	expect("a revoked token without the scope", unscoped, 401, invalid) // invalid_token comes before insufficient_scope

	lists.Close()
	expect("a revoked token, without the authorization server", first, 401, invalid)
	expect("another", second, 200, "")
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		metrics := body(t, get(t, "http://"+s.HTTP.AdminListen+"/metrics", ""))
		if strings.Contains(metrics, "\nhallpass_status_lists 2\n") && aged.MatchString(metrics) &&
			failed.MatchString(metrics) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("metrics:\n%s", metrics)
		}
	}
}
