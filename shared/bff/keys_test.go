package bff_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hallpass-auth/hallpass/shared/bff"
)

// keysPause is the time between two fetches of the keys, and keysLifetime is how long they are used.
const (
	keysPause    = 5 * time.Second
	keysLifetime = 5 * time.Minute
)

// withStore enables back-channel logout.
func withStore(c *bff.Config) { c.Store, c.Guard = new(bff.MemoryStore), nil }

// Strangers who send logout tokens cause few requests to the authorization server, and few lines in the log.
func TestForgedLogoutTokens(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := newApp(t, func(c *bff.Config) { withStore(c); c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	forged := newAuthServer(t).logoutToken(map[string]any{"iss": a.auth.URL})
	for round := range 3 {
		var senders sync.WaitGroup
		for range 30 {
			senders.Go(func() {
				resp := a.backchannelLogout(t, forged)
				if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("a forged token: %s", resp.Status)
				}
			})
		}
		senders.Wait()
		if fetches, together := a.auth.fetched(); fetches != 1+round || together != 1 {
			t.Errorf("round %d: %d fetches of the keys, %d at once; want one in each round", round, fetches, together)
		}
		if resp := a.backchannelLogout(t, a.auth.logoutToken(nil)); resp.StatusCode != http.StatusOK {
			t.Errorf("round %d: a valid token: %s %s", round, resp.Status, resp.body)
		}
		a.auth.clock.pass(keysPause)
	}
	before := strings.Count(log.String(), "level=WARN")
	if before == 0 || before > 2 {
		t.Errorf("%d warnings, want one for refused tokens, and one for those not verified:\n%.2000s", before, log.String())
	}
	a.auth.clock.pass(time.Minute)
	a.backchannelLogout(t, forged)
	after, first := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "more_before=0")
	if after != before+1 || first != before {
		t.Errorf("%d warnings, want one more after a minute, with the number of the others:\n%.2000s", after, log.String())
	}
}

// While the keys cannot be fetched, a logout token is not refused: its sender tries again. Neither is a login.
func TestKeysCannotBeFetched(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]http.HandlerFunc{
		"error":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) },
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"keys":[`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, withStore)
			a.auth.setFailing(respond)
			token := a.auth.logoutToken(nil)
			for range 2 {
				resp := a.backchannelLogout(t, token)
				if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
					t.Errorf("logout: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
				}
			}
			b := a.browser()
			b.want("login", b.send("GET", b.startLogin("/"), nil, ""), http.StatusServiceUnavailable)
			if fetches, _ := a.auth.fetched(); fetches != 1 {
				t.Errorf("%d fetches of the keys at once, want 1", fetches)
			}
			a.auth.setFailing(nil)
			a.auth.clock.pass(keysPause)
			b.want("logout with the keys", a.backchannelLogout(t, token), http.StatusOK)
			b.login()
			a.auth.setFailing(respond)
			b.want("logout with known keys", a.backchannelLogout(t, a.auth.logoutToken(nil)), http.StatusOK)
		})
	}
}

// withoutMetadata is a transport that fails to fetch metadata while it is down.
type withoutMetadata struct {
	down    atomic.Bool
	fetches atomic.Int64
}

func (m *withoutMetadata) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		m.fetches.Add(1)
		if m.down.Load() {
			return nil, errors.New("the authorization server is down")
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// While the authorization server has never been reached, strangers cause few requests for its metadata.
func TestMetadataCannotBeFetched(t *testing.T) {
	t.Parallel()
	var metadata withoutMetadata
	metadata.down.Store(true)
	a := newApp(t, func(c *bff.Config) { withStore(c); c.Transport = &metadata })
	token := a.auth.logoutToken(nil)
	for round := range int64(3) {
		var senders sync.WaitGroup
		for range 30 {
			senders.Go(func() {
				if resp := a.backchannelLogout(t, token); resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("logout: %s", resp.Status)
				}
			})
		}
		senders.Wait()
		if got := metadata.fetches.Load(); got != 1+round {
			t.Errorf("round %d: %d fetches of the metadata, want one in each round", round, got)
		}
		a.auth.clock.pass(time.Second)
	}
	metadata.down.Store(false)
	for range 2 {
		if resp := a.backchannelLogout(t, token); resp.StatusCode != http.StatusOK {
			t.Errorf("logout with the metadata: %s %s", resp.Status, resp.body)
		}
	}
	if got := metadata.fetches.Load(); got != 4 {
		t.Errorf("%d fetches of the metadata, want 4", got)
	}
}

// A new key is found soon, also while strangers send tokens. A key that is no longer published is refused.
func TestNewKeys(t *testing.T) {
	t.Parallel()
	a := newApp(t, withStore)
	b := a.browser()
	end := func(what, token string, status int) {
		t.Helper()
		b.want(what, a.backchannelLogout(t, token), status)
	}
	end("forged", newAuthServer(t).logoutToken(map[string]any{"iss": a.auth.URL}), http.StatusBadRequest)
	old := a.auth.logoutToken(map[string]any{"exp": a.auth.clock.time().Add(time.Hour).Unix()})
	a.auth.rotate()
	token := a.auth.logoutToken(nil)
	end("new key, just after a fetch", token, http.StatusServiceUnavailable)
	end("previous key, just after a fetch", old, http.StatusOK)
	a.auth.clock.pass(keysPause)
	end("new key", token, http.StatusOK)

	old = a.auth.logoutToken(map[string]any{"exp": a.auth.clock.time().Add(time.Hour).Unix()})
	a.auth.rotate()
	a.auth.clock.pass(keysLifetime)
	end("key that is no longer published", old, http.StatusBadRequest)
}

// A token with a key that is published while a fetch runs is not refused, though that fetch does not find its key.
func TestNewKeyDuringFetch(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64 // for the time, which is first when a signature is verified
	a := newApp(t, withStore)
	a.replace(func(c *bff.Config) { c.Now = func() time.Time { asked.Add(1); return a.auth.clock.time() } })
	second := make(chan response, 1)
	var token string
	a.auth.setFailing(func(w http.ResponseWriter, _ *http.Request) {
		previous, _ := a.auth.key.Key.(jose.JSONWebKey)
		a.auth.rotate()
		a.auth.clock.pass(time.Second)
		token = a.auth.logoutToken(nil)
		before := asked.Load()
		go func() { second <- a.backchannelLogout(t, token) }()
		eventually(t, "the second token", func() bool { return asked.Load() > before })
		a.auth.json(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{previous.Public()}})
	})
	b := a.browser()
	b.want("previous key", a.backchannelLogout(t, a.auth.logoutToken(nil)), http.StatusOK)
	b.want("new key", <-second, http.StatusServiceUnavailable)
	a.auth.setFailing(nil)
	a.auth.clock.pass(keysPause)
	b.want("new key, later", a.backchannelLogout(t, token), http.StatusOK)
}
